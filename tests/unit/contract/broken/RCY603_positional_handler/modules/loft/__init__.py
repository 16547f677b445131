"""Healthy: publishes box_opened."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from recyclic import Event, ModuleBase


class BoxOpened(Event):
    """A box was opened."""

    box_id: str
    weight_grams: int


class LoftModule(ModuleBase):
    """Healthy: publishes box_opened."""

    emits = (BoxOpened,)

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Do nothing."""


MODULE_CLASS = LoftModule
