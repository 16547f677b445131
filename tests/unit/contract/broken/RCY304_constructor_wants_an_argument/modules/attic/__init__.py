"""Wants to be given something when it is built."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Wants to be given something when it is built."""

    def __init__(self, shelf: str) -> None:
        self.shelf = shelf

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Do nothing."""


MODULE_CLASS = AtticModule
