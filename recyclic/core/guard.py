"""The guard: ASGI middleware that lets nobody reach a module's routes without the level its manifest asks for."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette._utils import get_route_path  # the very function that routes are matched with
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from recyclic.core.http import error_response
from recyclic.core.permissions import Level, Section, optional_user

PREFIX = "/api/modules/"
API = "/api/"
READING = frozenset({"GET", "HEAD"})
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def module_prefix(module_id: str) -> str:
    """Return the path that a module's routes lie under."""
    return f"{PREFIX}{module_id}/"


class Guard:
    """Refuses what the user may not do under `/api/modules/<id>/`, and changes that another site asks for.

    Module routes are known to begin with the literal prefix (the host refuses others at boot), and both the routes and
    this guard look at the same string; so whatever reaches a module's route has passed here.
    """

    def __init__(self, app: ASGIApp, rules: Mapping[str, tuple[Section, Level]]) -> None:
        self.app = app
        self.rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401, 403 or 404."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        path = get_route_path(scope)
        refusal = None
        if path.startswith(API):
            refusal = self._cross_origin(scope)
        if refusal is None and path.startswith(PREFIX):
            refusal = await self._not_allowed(scope, path.removeprefix(PREFIX).partition("/")[0])
        if refusal is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await WebSocketClose(1008, refusal[1])(scope, receive, send)
        else:
            await error_response(scope, *refusal)(scope, receive, send)

    async def _not_allowed(self, scope: Scope, module_id: str) -> tuple[int, str, str] | None:
        user = await optional_user(HTTPConnection(scope))
        if user is None:
            return 401, "not_signed_in", "Sign in first."
        rule = self.rules.get(module_id)
        if rule is None:
            return 404, "not_found", "There is no such module here."
        section, level = rule
        reading = scope["type"] == "http" and scope["method"] in READING
        needed = Level.READ if reading else level
        if not user.may(section, needed):
            return 403, "not_allowed", f"This needs {needed} in {section}."
        return None

    def _cross_origin(self, scope: Scope) -> tuple[int, str, str] | None:
        """Refuse a change, or a websocket, that a page of another site asks for with this site's cookie."""
        if scope["type"] == "http" and scope["method"] in SAFE:
            return None
        headers = Headers(scope=scope)
        foreign = headers.get("sec-fetch-site") == "cross-site"
        origin = headers.get("origin")
        if origin is not None and not foreign:
            foreign = urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
        if foreign:
            return 403, "cross_origin", "Another site may not change anything here."
        return None
