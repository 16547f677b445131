"""Does not start where its server is away."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Does not start where its server is away."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Start."""
        _, writer = await asyncio.open_connection("198.51.100.7", 443)
        writer.close()

    async def shutdown(self) -> None:
        """Do nothing."""


MODULE_CLASS = AtticModule
