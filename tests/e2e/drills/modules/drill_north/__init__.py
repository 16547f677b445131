"""A module that writes down what it handles, and does what an event's `order` says."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any, ClassVar

from drill_handling import Handlings, HandlingSettings
from fastapi import FastAPI
from pydantic import BaseModel

from recyclic import EventBus, EventMeta, ModuleBase


class DrillNorthModule(ModuleBase):
    """Handles `thing_done`, unless it is poison."""

    settings: ClassVar[type[BaseModel] | None] = HandlingSettings

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        self.config = HandlingSettings.model_validate(config)
        self.handlings = Handlings(self.config.file)

    async def shutdown(self) -> None:
        self.handlings.close()

    def register_signals(self, bus: EventBus) -> None:
        timeout = os.environ.get("DRILL_TIMEOUT")  # subscriptions are made before a module knows its settings
        bus.on("thing_done", self.handle, timeout=float(timeout) if timeout else None)

    async def handle(self, number: int, order: str, meta: EventMeta) -> None:
        """Begin, do the work, end: a process that dies in between leaves a begin without an end."""
        self.handlings.begin("drill_north", number, meta)
        await self._obey(order, meta)
        await asyncio.sleep(self.config.seconds)  # the work that a handler does, not a wait of the test
        self.handlings.end("drill_north", number, meta)

    async def _obey(self, order: str, meta: EventMeta) -> None:
        match order.split(":"):
            case ["raise"]:
                raise ValueError("poison: this event fails whoever handles it")
            case ["fail", attempts] if meta.attempt <= int(attempts):
                raise ValueError(f"attempt {meta.attempt} of those that are to fail")
            case ["hang"]:
                await asyncio.get_running_loop().create_future()
            case ["exit"]:
                os._exit(77)
            case ["sleep", seconds]:
                await asyncio.sleep(float(seconds))  # a handler that takes real time
            case ["thread", seconds]:
                await asyncio.to_thread(time.sleep, float(seconds))


MODULE_CLASS = DrillNorthModule
