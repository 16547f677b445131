"""Needs a field as another type than it is sent."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from recyclic import EventBus, ModuleBase


class AtticModule(ModuleBase):
    """Needs a field as another type than it is sent."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Do nothing."""

    def register_signals(self, bus: EventBus) -> None:
        """Count the boxes."""
        bus.on("box_opened", self.count)

    async def count(self, weight_grams: str, **data: Any) -> None:
        """Count a box."""


MODULE_CLASS = AtticModule
