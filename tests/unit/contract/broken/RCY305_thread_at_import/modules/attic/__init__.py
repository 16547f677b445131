"""Starts a thread by being imported."""

from __future__ import annotations

import threading
from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase

threading.Thread(target=threading.Event().wait, daemon=True).start()


class AtticModule(ModuleBase):
    """Starts a thread by being imported."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Do nothing."""


MODULE_CLASS = AtticModule
