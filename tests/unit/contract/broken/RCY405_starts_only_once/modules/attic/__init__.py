"""Keeps state where a second life finds it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase

started: list[str] = []


class AtticModule(ModuleBase):
    """Keeps state where a second life finds it."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Start."""
        if started:
            raise RuntimeError("it has been started before")
        started.append("once")

    async def shutdown(self) -> None:
        """Do nothing."""


MODULE_CLASS = AtticModule
