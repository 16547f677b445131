"""Fails in its startup."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Fails in its startup."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Start."""
        raise RuntimeError("the hatch is stuck")

    async def shutdown(self) -> None:
        """Do nothing."""


MODULE_CLASS = AtticModule
