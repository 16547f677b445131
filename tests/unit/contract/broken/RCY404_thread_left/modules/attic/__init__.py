"""Forgets the thread that it has started."""

from __future__ import annotations

import threading
from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Forgets the thread that it has started."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Start."""
        threading.Thread(target=threading.Event().wait, name="dust", daemon=True).start()

    async def shutdown(self) -> None:
        """Do nothing."""


MODULE_CLASS = AtticModule
