"""Divides by what its documentation allows to be zero."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Divides by what its documentation allows to be zero."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Do nothing."""

    def register_routes(self, app: FastAPI) -> None:
        """Add the routes."""
        router = APIRouter(prefix="/api/modules/attic")

        @router.get("/boxes/{shelf}")
        async def boxes(shelf: Literal["left", "right"]) -> int:
            """Count the boxes of a shelf."""
            return {"top": 3}[shelf]

        app.include_router(router)


MODULE_CLASS = AtticModule
