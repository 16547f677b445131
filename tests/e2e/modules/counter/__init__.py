"""A module that writes down, in a file shared by all workers, which process handled which event."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from recyclic import Event, EventBus, EventMeta, ModuleBase


class PingSent(Event):
    """A ping left the route."""

    number: int


class Settings(BaseModel):
    """Where the account is kept, and how long a handling takes."""

    file: str
    seconds: float = 0.0


class Pings(BaseModel):
    """How many pings to send."""

    count: int


class CounterModule(ModuleBase):
    """Emits pings and writes one line a handling: process id, number, event id, attempt."""

    emits = (PingSent,)
    settings = Settings

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        self.config = Settings.model_validate(config)

    async def shutdown(self) -> None:
        """Nothing to give back."""

    def register_routes(self, app: FastAPI) -> None:
        @app.post("/api/modules/counter/pings", status_code=202)
        async def send(pings: Pings) -> dict[str, int]:
            for number in range(pings.count):
                await self.bus.emit("ping_sent", number=number)
            return {"pid": os.getpid()}

    def register_signals(self, bus: EventBus) -> None:
        self.bus = bus
        bus.on("ping_sent", self.count)

    async def count(self, number: int, meta: EventMeta) -> None:
        """Begin, take the set time, end: a process killed in between leaves a begin without an end."""
        self.write(f"begin {os.getpid()} {number} {meta.id} {meta.attempt}")
        await asyncio.sleep(self.config.seconds)  # the work that a handler does; not a wait of the test
        self.write(f"end {os.getpid()} {number} {meta.id} {meta.attempt}")

    def write(self, line: str) -> None:
        descriptor = os.open(self.config.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{line}\n".encode())
        finally:
            os.close(descriptor)


MODULE_CLASS = CounterModule
