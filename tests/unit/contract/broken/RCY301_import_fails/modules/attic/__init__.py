"""Fails where it is imported."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase

SHELVES = {"left": 3}
HEIGHT = SHELVES["right"]


class AtticModule(ModuleBase):
    """Fails where it is imported."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Do nothing."""


MODULE_CLASS = AtticModule
