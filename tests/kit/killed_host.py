"""A host in a process of its own that is killed in the middle: `python killed_host.py JOURNAL`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from recyclic import Event, ModuleBase
from recyclic.testing import boot_modules


class SaleClosed(Event):
    session_id: str


class TillModule(ModuleBase):
    emits = (SaleClosed,)

    async def startup(self, app, config): ...

    async def shutdown(self): ...

    def register_signals(self, bus):
        self.bus = bus


class BooksModule(ModuleBase):
    async def startup(self, app, config): ...

    async def shutdown(self): ...

    def register_signals(self, bus):
        bus.on("sale_closed", self.book)

    async def book(self, session_id: str):
        if session_id == "last":
            sys.stdout.write("working\n")  # the test kills us when it reads this
            sys.stdout.flush()
            await asyncio.Event().wait()


async def main() -> None:
    async with boot_modules(modules=[TillModule, BooksModule], journal=Path(sys.argv[1])) as host:
        for session in ("first", "last"):
            async with host.act(session):
                await host.bus.emit("sale_closed", session_id=session)


asyncio.run(main())
