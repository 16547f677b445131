"""A module that only emits: every drill's events are its."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from recyclic import Event, EventBus, ModuleBase


class ThingDone(Event):
    """A numbered thing was done. `order` asks drill_north for something unusual; `padding` gives the entry weight."""

    number: int
    order: str = ""
    padding: str = ""


class DrillSourceModule(ModuleBase):
    """Emits `thing_done`."""

    emits = (ThingDone,)

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Nothing to get ready."""

    async def shutdown(self) -> None:
        """Nothing to give back."""

    def register_signals(self, bus: EventBus) -> None:
        self.bus = bus


MODULE_CLASS = DrillSourceModule
