"""Reaches into its neighbour."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Reaches into its neighbour."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Start."""
        from ladder import MODULE_CLASS as LADDER  # noqa: PLC0415 - what the rule is about

        app.state.ladder = LADDER.__name__

    async def shutdown(self) -> None:
        """Do nothing."""


MODULE_CLASS = AtticModule
