"""Waits for ever in its startup."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Waits for ever in its startup."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Start."""
        await asyncio.Event().wait()

    async def shutdown(self) -> None:
        """Do nothing."""


MODULE_CLASS = AtticModule
