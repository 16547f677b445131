"""The routes of the door: sign in, sign out, who am I."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from recyclic.core.auth import COOKIE, MAX_PASSWORD, SESSION_SECONDS, Auth
from recyclic.core.permissions import CurrentUser, User

router = APIRouter(prefix="/api/auth", tags=["auth"])


class Credentials(BaseModel):
    """What one signs in with."""

    name: str = Field(min_length=1, max_length=100)
    password: str = Field(min_length=1, max_length=MAX_PASSWORD)


class UserOut(BaseModel):
    """A user as the front end sees one: `permissions` is section → level."""

    name: str
    permissions: dict[str, str]


class SignedIn(BaseModel):
    """The answer of a sign-in."""

    user: UserOut


def user_out(user: User) -> UserOut:
    """Return what the front end may know of `user`."""
    return UserOut(name=user.name, permissions={str(key): str(value) for key, value in user.permissions.items()})


@router.post("/sign-in")
async def sign_in(credentials: Credentials, request: Request, response: Response) -> SignedIn:
    """Check name and password and set the session's cookie."""
    auth: Auth = request.app.state.auth
    user, cookie = await auth.sign_in(credentials.name, credentials.password)
    response.set_cookie(COOKIE, cookie, max_age=SESSION_SECONDS, **_cookie_options(request))
    return SignedIn(user=user_out(user))


@router.post("/sign-out", status_code=204)
async def sign_out(request: Request, response: Response) -> None:
    """Take the cookie back."""
    response.delete_cookie(COOKIE, **_cookie_options(request))


@router.get("/me")
async def me(user: CurrentUser) -> SignedIn:
    """Say who is signed in."""
    return SignedIn(user=user_out(user))


def _cookie_options(request: Request) -> dict[str, Any]:
    return {"path": "/", "httponly": True, "samesite": "lax", "secure": request.url.scheme == "https"}
