"""Forgets the task that it has started."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Forgets the task that it has started."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Start."""
        self.task = asyncio.create_task(asyncio.Event().wait())

    async def shutdown(self) -> None:
        """Do nothing."""


MODULE_CLASS = AtticModule
