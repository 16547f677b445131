"""EmittingHost and Load: who emits in a drill, and how fast."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from drills.account import Account
from recyclic.config import Config
from recyclic.core.app import create_app
from recyclic.core.events.broker import Broker
from recyclic.errors import BusError, EventError

HANG = 20.0
"""Seconds after which an emit that neither returned nor raised is taken for hung."""
REFUSED = 0.2
"""Seconds that an emitter waits after a BusError."""
PADDING = "x" * 180
"""Makes a payload of about 300 bytes, as in the benchmark."""


class EmittingHost:
    """The real host in the test's own process and loop. It emits and does not consume."""

    def __init__(self, config: Path, environment: Mapping[str, str]) -> None:
        self.app = create_app(Config.load(config, dict(environment)), consume=False, serve_ui=False)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.app.router.lifespan_context(self.app))
        self._bus = next(module for module in self.app.state.registry if module.id == "drill_source").instance.bus
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.__aexit__(*error)

    @property
    def broker(self) -> Broker:
        """Its bus."""
        broker: Broker = self.app.state.broker
        return broker

    async def emit(self, number: int, order: str = "", padding: str = PADDING) -> str:
        """Emit one `thing_done`."""
        return str(await self._bus.emit("thing_done", number=number, order=order, padding=padding))


class Load:
    """Emits numbered events and writes every outcome down. Runs at most `window` ahead of the slowest group.

    So the events pass while the faults happen, at the speed of the handlers.
    """

    def __init__(self, host: EmittingHost, account: Account, *, window: int, emitters: int = 16) -> None:
        self._host = host
        self._account = account
        self._window = window
        self._emitters = emitters
        self._moved = asyncio.Event()

    def moved(self) -> None:
        """Know that handlers have gone on, or that it is not for them to go on."""
        self._moved.set()

    async def run(self, numbers: Iterable[int], order: str = "", padding: str = PADDING) -> None:
        """Emit all `numbers`, several at once."""
        remaining = iter(numbers)
        await asyncio.gather(*(self._emit(remaining, order, padding) for _ in range(self._emitters)))

    async def _emit(self, remaining: Iterator[int], order: str, padding: str) -> None:
        account = self._account
        for number in remaining:
            while account.ahead() >= self._window:
                self._moved.clear()
                await self._moved.wait()
            account.record(number, "unknown")
            try:
                async with asyncio.timeout(HANG):
                    await self._host.emit(number, order, padding)
            except BusError:
                await asyncio.sleep(REFUSED)  # whoever was refused does not come back at once
            except EventError:
                account.record(number, "failed")
            except TimeoutError:
                account.hung.append(number)
            else:
                account.record(number, "ok")
