"""Does not bear a second shutdown."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Does not bear a second shutdown."""

    def __init__(self) -> None:
        self.shelves: list[str] = []

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Start."""
        self.shelves.append("left")

    async def shutdown(self) -> None:
        """Stop."""
        self.shelves.remove("left")


MODULE_CLASS = AtticModule
