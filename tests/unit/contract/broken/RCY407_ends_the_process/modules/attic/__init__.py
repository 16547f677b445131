"""Takes the whole process with it."""

from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Takes the whole process with it."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Start."""
        os._exit(3)

    async def shutdown(self) -> None:
        """Do nothing."""


MODULE_CLASS = AtticModule
