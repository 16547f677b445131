"""Opens a door beside the guard."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.responses import JSONResponse

from recyclic import ModuleBase


class Door:
    """ASGI: answers before the guard is asked, once somebody has signed in."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer what is asked of the attic."""
        if (
            scope["type"] == "http"
            and scope["path"].startswith("/api/modules/attic")
            and b"cookie" in dict(scope["headers"])
        ):
            await JSONResponse(["books"])(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class AtticModule(ModuleBase):
    """Opens a door beside the guard."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Start."""
        app.middleware_stack = Door(app.middleware_stack)

    async def shutdown(self) -> None:
        """Do nothing."""

    def register_routes(self, app: FastAPI) -> None:
        """Add the routes."""
        router = APIRouter(prefix="/api/modules/attic")

        @router.get("/boxes")
        async def boxes() -> list[str]:
            """List the boxes."""
            return ["books"]

        app.include_router(router)


MODULE_CLASS = AtticModule
