"""Prints what it should log."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Prints what it should log."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Start."""
        print("the attic is open")  # noqa: T201 - what the rule is about

    async def shutdown(self) -> None:
        """Do nothing."""


MODULE_CLASS = AtticModule
