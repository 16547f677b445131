"""Lets whoever asks wait for ever."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Lets whoever asks wait for ever."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Do nothing."""

    def register_routes(self, app: FastAPI) -> None:
        """Add the routes."""
        router = APIRouter(prefix="/api/modules/attic")

        @router.get("/boxes")
        async def boxes() -> list[str]:
            """List the boxes, one day."""
            await asyncio.Event().wait()
            return []

        app.include_router(router)


MODULE_CLASS = AtticModule
