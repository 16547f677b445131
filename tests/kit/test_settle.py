"""Settling: the clock moves only while nothing has anything to do; what it wakes is waited for; deadlines."""

from __future__ import annotations

import asyncio
import time

import pytest

from recyclic import Event, ModuleBase
from recyclic.core.events.outbox_rows import OutboxRows
from recyclic.testing import boot_modules
from recyclic.testing.deadline import Deadline, Patience
from recyclic.testing.settle import NOTICE


class SaleClosed(Event):
    session_id: str


class TillModule(ModuleBase):
    emits = (SaleClosed,)

    async def startup(self, app, config):
        self.app = app
        self.night = asyncio.create_task(self.every_night())

    async def shutdown(self):
        self.night.cancel()
        await asyncio.wait([self.night])

    def register_signals(self, bus):
        self.bus = bus

    def register_routes(self, app):
        @app.post("/api/modules/till/close/{session_id}")
        async def close(session_id: str):
            async with self.app.state.database.unit_of_work() as uow:
                await self.bus.within(uow).emit("sale_closed", session_id=session_id)

    async def every_night(self):
        while True:
            await self.app.state.clock.wait(86_400)
            await asyncio.gather(self.report())

    async def report(self):
        await asyncio.sleep(0.01)  # real work, in a task of its own
        await self.bus.emit("sale_closed", session_id="nightly")


class BooksModule(ModuleBase):
    async def startup(self, app, config):
        pass

    async def shutdown(self):
        pass

    def register_signals(self, bus):
        bus.on("sale_closed", self.book)

    async def book(self, session_id: str):
        pass


@pytest.fixture(params=["fake", pytest.param("server", marks=pytest.mark.slow)])
async def host(request):
    async with boot_modules(modules=[TillModule, BooksModule], backend=request.param) as host:
        yield host


async def test_the_clock_stands_while_the_relay_is_at_work(host, monkeypatch):
    """However long it takes: nothing else is due, so a leap would be seen in every time that is printed."""
    take = OutboxRows.look

    async def slowly(rows, *args):
        await asyncio.sleep(4 * NOTICE)  # a busy machine
        return await take(rows, *args)

    monkeypatch.setattr(OutboxRows, "look", slowly)
    async with host.act() as trace:
        await host.http.post("/api/modules/till/close/a")
    trace.consumed("sale_closed", by="books").ok(attempts=1)
    assert host.clock.monotonic() == 0


async def test_what_the_clock_wakes_is_waited_for_whoever_owns_it(host):
    async with host.act("two nights") as trace:
        host.clock.advance(86_400)
        await host.settle()
        host.clock.advance(86_400)
    trace.emitted("sale_closed", session_id="nightly").times(2)
    trace.consumed("sale_closed", by="books").times(2)


async def test_a_timer_counts_where_code_of_the_project_s_own_sets_it(host):
    """A server's keep-alive of a connection is set on behalf of a request, too, and is nobody's leak."""
    loop, handles = asyncio.get_running_loop(), []

    def left():
        return [text for kind, text in host.resources.left(loop) if kind == "timers"]

    names = {"loop": loop, "handles": handles}
    exec(compile("def keep_alive(): handles.append(loop.call_later(60, print))", "<server>", "exec"), names)
    with host.watch.owned_by("GET /", host.life, passing=True):
        loop.call_soon(names["keep_alive"])
        await asyncio.sleep(0)
        assert handles
        assert left() == []
        handles.append(loop.call_later(60, print))
    [text] = left()
    assert text.endswith("by GET /")
    for handle in handles:
        handle.cancel()
    assert left() == []


def test_a_test_s_own_timeout_does_not_count_once_someone_looks_at_it_by_hand():
    debugged = False
    patience = Patience(10.0, timeout=60.0, started=time.monotonic() - 3600, debugged=lambda: debugged)
    assert patience.left == 0
    debugged = True
    assert patience.left == 10.0
    assert Patience(10.0).left == 10.0


class Seconds:
    """A clock for a deadline."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def test_a_deadline_counts_the_seconds_in_which_the_test_could_work():
    now, debugged = Seconds(), False
    deadline = Deadline(1.0, now=now, debugged=lambda: debugged)
    now.at += 0.4
    assert not deadline.over
    now.at += 3600  # at a prompt, or the machine slept: half a second of it counts
    assert not deadline.over
    debugged = True
    for _ in range(100):
        now.at += 0.4
        assert not deadline.over
    debugged = False
    now.at += 0.4
    assert deadline.over
