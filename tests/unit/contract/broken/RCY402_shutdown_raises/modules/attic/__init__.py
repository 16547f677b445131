"""Fails in its shutdown."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Fails in its shutdown."""

    def __init__(self) -> None:
        self.closed = False

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Stop."""
        if not self.closed:
            self.closed = True
            raise RuntimeError("the hatch does not close")


MODULE_CLASS = AtticModule
