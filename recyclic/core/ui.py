"""What the front end gets: the UI manifest of this user, and the built files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

import recyclic
from recyclic.core.auth_routes import user_out
from recyclic.core.lifecycle import Lifecycle
from recyclic.core.permissions import CurrentUser, Level, OptionalUser, Section, User
from recyclic.version import __version__

router = APIRouter(prefix="/api", tags=["ui"])

_SERVER_PATHS = ("/api", "/health")
_IMMUTABLE = "public, max-age=31536000, immutable"
_MISSING = """<!doctype html><meta charset="utf-8"><title>Recyclic</title>
<h1>Recyclic</h1><p>The front end is not built. Run <code>make run</code>, or <code>npm ci && npm run build</code> in
<code>frontend/</code>. The API is at <a href="/health/ready">work</a>.</p>
"""


class UserInterface:
    """The slots and pages of a host's running modules, cut to what one user may use."""

    def __init__(self, lifecycle: Lifecycle, *, test_mode: bool) -> None:
        self.lifecycle = lifecycle
        self.test_mode = test_mode

    def manifest_for(self, user: User | None) -> dict[str, Any]:
        """Return the UI manifest: modules and slots that `user` may read, none for nobody."""
        modules: list[dict[str, Any]] = []
        slots: dict[str, list[dict[str, str]]] = {}
        for module in self.lifecycle.running:
            manifest = module.manifest
            if user is None or not user.may(manifest.permissions.section, Level.READ):
                continue
            modules.append(
                {
                    "id": manifest.id,
                    "name": manifest.name,
                    "description": manifest.description,
                    "version": manifest.version,
                    "routes": list(manifest.ui.routes),
                }
            )
            for slot, components in self.lifecycle.extensions.get(module.id, {}).items():
                slots.setdefault(slot, []).extend({"module": module.id, "component": name} for name in components)
        return {
            "host_version": __version__,
            "test_mode": self.test_mode,
            "user": user_out(user).model_dump() if user else None,
            "modules": modules,
            "slots": slots,
        }


@router.get("/ui")
async def ui_manifest(request: Request, user: OptionalUser) -> dict[str, Any]:
    """Say which pages and slot extensions this user gets; nothing without a user."""
    interface: UserInterface = request.app.state.ui
    return interface.manifest_for(user)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request, user: CurrentUser) -> dict[str, Any]:
    """Describe the API, to administrators only."""
    user.require(Section.CONFIG, Level.ADMIN)
    description: dict[str, Any] = request.app.openapi()
    return description


def built_front_end() -> Path | None:
    """Return the folder of the built front end: the checkout's, or the one inside the wheel."""
    package = Path(recyclic.__file__).parent
    for folder in (package.parent / "frontend" / "dist", package / "_frontend"):
        if (folder / "index.html").is_file():
            return folder
    return None


class FrontEnd:
    """ASGI: serves the single-page application for every path that no route has taken."""

    def __init__(self, folder: Path | None, *, test_mode: bool) -> None:
        self.files = StaticFiles(directory=folder) if folder else None
        self.test_mode = test_mode

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a file of the build, or with the application's page; 404 under /api and /health."""
        path = scope["path"]
        if scope["type"] != "http" or any(path == own or path.startswith(own + "/") for own in _SERVER_PATHS):
            raise HTTPException(404)
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        await (await self._answer(path, scope))(scope, receive, send)

    async def _answer(self, path: str, scope: Scope) -> Response:
        if self.files is None:
            return HTMLResponse(_MISSING, status_code=503)
        name = path.strip("/")
        if name in ("__slots__", "slots.html"):
            if not self.test_mode:
                raise HTTPException(404)
            return await self._file("slots.html", scope)
        if name in ("", "index.html"):
            return await self._file("index.html", scope)
        try:
            return await self._file(name, scope)
        except HTTPException as error:
            if error.status_code != 404 or name.startswith("assets/") or "\\" in name or "\0" in name:
                raise
        return await self._file("index.html", scope)

    async def _file(self, name: str, scope: Scope) -> Response:
        assert self.files is not None
        try:
            response = await self.files.get_response(name, scope)
        except ValueError as error:  # a path that no file system knows
            raise HTTPException(404) from error
        response.headers["Cache-Control"] = _IMMUTABLE if name.startswith("assets/") else "no-cache"
        return response
