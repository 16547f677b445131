"""A module with two handlers, so with two groups, that write down what they handle."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from drill_handling import Handlings, HandlingSettings
from fastapi import FastAPI
from pydantic import BaseModel

from recyclic import EventBus, EventMeta, ModuleBase


class DrillSouthModule(ModuleBase):
    """Handles `thing_done` twice, each time in a group of its own."""

    settings: ClassVar[type[BaseModel] | None] = HandlingSettings

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        self.config = HandlingSettings.model_validate(config)
        self.handlings = Handlings(self.config.file)

    async def shutdown(self) -> None:
        self.handlings.close()

    def register_signals(self, bus: EventBus) -> None:
        bus.on("thing_done", self.handle)
        bus.on("thing_done", self.count, name="count")

    async def handle(self, number: int, meta: EventMeta) -> None:
        await self._handle("drill_south", number, meta)

    async def count(self, number: int, meta: EventMeta) -> None:
        await self._handle("drill_south.count", number, meta)

    async def _handle(self, group: str, number: int, meta: EventMeta) -> None:
        self.handlings.begin(group, number, meta)
        await asyncio.sleep(self.config.seconds)  # the work that a handler does, not a wait of the test
        self.handlings.end(group, number, meta)


MODULE_CLASS = DrillSouthModule
