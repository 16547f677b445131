"""Answers where the guard does not look."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Answers where the guard does not look."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Do nothing."""

    def register_routes(self, app: FastAPI) -> None:
        """Add the routes."""
        router = APIRouter(prefix="/api/attic")

        @router.get("/boxes")
        async def boxes() -> list[str]:
            """List the boxes."""
            return ["books"]

        app.include_router(router)


MODULE_CLASS = AtticModule
