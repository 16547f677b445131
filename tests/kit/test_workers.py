"""Worker processes: the same assertions, real deaths, one clock."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recyclic import Event, ModuleBase
from recyclic.core.events.event import Envelope, EventMeta
from recyclic.testing import ANY, KitError, SettleError, StrictError, boot_modules, faults
from recyclic.testing.journal import Journal, Kind
from recyclic.testing.workers.publisher import Publisher

pytestmark = pytest.mark.slow  # real processes


class SaleClosed(Event):
    session_id: str
    total_cents: int


class EntryWritten(Event):
    session_id: str
    amount_cents: int


class TillModule(ModuleBase):
    emits = (SaleClosed,)

    async def startup(self, app, config):
        self.app = app

    async def shutdown(self):
        pass

    def register_signals(self, bus):
        self.bus = bus

    def register_routes(self, app):
        @app.post("/api/modules/till/close/{session_id}")
        async def close(session_id: str):
            async with self.app.state.database.unit_of_work() as uow:
                await self.bus.within(uow).emit("sale_closed", session_id=session_id, total_cents=100)
            return {}


class BooksModule(ModuleBase):
    emits = (EntryWritten,)

    async def startup(self, app, config):
        self.app = app

    async def shutdown(self):
        pass

    def register_signals(self, bus):
        self.bus = bus
        bus.on("sale_closed", self.book)

    async def book(self, session_id: str, total_cents: int, **data):
        await self.bus.emit("entry_written", session_id=session_id, amount_cents=total_cents)


@pytest.fixture
async def host():
    async with boot_modules(modules=[TillModule, BooksModule], backend="server", workers=2) as host:
        yield host


async def close(host, session_id="a"):
    response = await host.http.post(f"/api/modules/till/close/{session_id}")
    assert response.status_code == 200, response.text
    return response


async def test_the_same_assertions_hold(host):
    async with host.act("close") as trace:
        response = await close(host)
    sale = trace.emitted("sale_closed", session_id="a").once()
    trace.consumed("sale_closed", by="books").once().ok(attempts=1)
    trace.emitted("entry_written", amount_cents=ANY).once().caused_by(sale).caused_by(response)
    trace.order("sale_closed", "entry_written")
    trace.nothing_else()
    assert host.clock.monotonic() == 0


def test_a_delivery_that_is_told_before_its_emission_comes_after_it():
    """Two processes tell of one event each on a way of its own; the timeline has the order of causes."""
    journal = Journal(lambda: 0.0)
    envelope = Envelope(id="e", event="sale_closed", source="till", time=datetime.now(UTC), data={})
    told = {"envelope": envelope, "event": "sale_closed", "module": "books", "group": "books", "attempt": 1}
    journal.take_over(Kind.DELIVERED, **told, entry_id="1-0")
    journal.emitted(envelope, "1-0")
    assert [record.kind for record in journal.records] == [Kind.EMITTED, Kind.DELIVERED]
    journal.emitted(envelope, "2-0")  # appended once more, in fact
    assert [record.entry_id for record in journal.records if record.kind is Kind.EMITTED] == ["1-0", "2-0"]


async def test_retries_take_no_time_and_their_delays_are_known():
    async with boot_modules(modules=[TillModule, ForgetfulModule], backend="server", workers=2) as host:
        async with host.act(expect_errors=True) as trace:
            await close(host)
        trace.consumed("sale_closed").ok(attempts=3).retried_after(1, 2).failed(NoAccountError, times=2)
        assert host.clock.monotonic() == pytest.approx(3)


async def test_handlers_that_wait_for_the_clock_are_woken_together():
    async with boot_modules(modules=[TillModule, SlowModule], backend="server", workers=2) as host:
        async with host.act() as trace:
            for number in range(3):
                await close(host, str(number))
        trace.emitted("entry_written").times(3)
        assert host.clock.monotonic() >= 3600


async def test_a_killed_worker_loses_nothing_and_can_be_started_again(host):
    first, second = host.workers
    async with host.act() as trace:
        first.kill()
        await close(host)
    trace.consumed("sale_closed", by="books").once().ok()
    await first.restart()
    second.kill()
    async with host.act() as trace:
        await close(host, "b")
    trace.consumed("sale_closed", by="books").once().ok()


async def test_what_a_killed_worker_had_in_hand_is_another_s_after_its_lease():
    async with boot_modules(modules=[TillModule, GatedModule], backend="server", workers=2) as host:
        async with host.act() as trace:
            await close(host)
            await started(host)
            busy = next(worker for worker in host.workers if worker.running)
            opened(host)
            busy.kill()
        trace.consumed("sale_closed", by="gated").once().ok(attempts=2).delivered(2)
        assert "attempt 1 → its worker died" in str(trace)
        assert host.clock.monotonic() >= 30, "the lease had to run out"


async def test_a_paused_worker_is_taken_for_dead_and_comes_too_late():
    async with boot_modules(modules=[TillModule, GatedModule], backend="server", workers=2) as host:
        async with host.act("paused") as trace:
            await close(host)
            await started(host)
            busy = next(worker for worker in host.workers if worker.running)
            busy.pause()
            opened(host)
        trace.consumed("sale_closed", by="gated").ok(attempts=2)
        async with host.act("too late") as trace:
            busy.resume()
        trace.never("sale_closed")
        async with host.act("and goes on") as trace:
            await close(host, "b")
        trace.consumed("sale_closed", session_id="b").once().ok(attempts=1)


async def test_a_module_is_paused_in_every_process(host):
    host.pause("books")
    async with host.act("while paused") as trace:
        await close(host)
    trace.never("entry_written")
    async with host.act("go on") as trace:
        host.resume("books")
    trace.consumed("sale_closed", by="books").once().ok(attempts=1)


async def test_the_host_restarts_in_every_process(host):
    before = [worker.pid for worker in host.workers]
    await host.restart()
    assert not set(before) & {worker.pid for worker in host.workers}
    async with host.act() as trace:
        await close(host)
    trace.consumed("sale_closed").once().ok(attempts=1)


async def test_a_worker_that_dies_by_itself_fails_the_test_with_the_end_of_its_output():
    async def run():
        booted = boot_modules(modules=[TillModule, FatalModule], backend="server", workers=2)
        async with booted as host, host.act():
            await close(host)

    with pytest.raises(StrictError) as caught:
        await run()
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("worker ")
    assert lines[0].endswith(" died by itself (exit code 7); the end of its output:")
    assert lines[1] == "  | the accounts are on fire"


async def test_a_task_left_behind_in_a_worker_is_waited_for_and_named():
    async def run():
        async with boot_modules(modules=[TillModule, HastyModule], backend="server", workers=2) as host:
            async with host.act() as trace:
                await close(host)
            trace.emitted("entry_written", amount_cents=5).once()

    with pytest.raises(StrictError, match=r"a task was left behind in worker \d \(pid \d+\): HastyModule.later"):
        await run()


async def test_a_worker_writes_down_what_it_does_before_it_acks():
    """However late a process comes to writing down what it does beside its work: no task is missed."""
    async with boot_modules(
        modules=[TillModule, LateTellingModule], backend="server", workers=1, allow={"tasks": "it is about them"}
    ) as host:
        async with host.act() as trace:
            await close(host)
        trace.emitted("entry_written", amount_cents=5).once()


async def test_what_is_outstanding_in_a_worker_names_it():
    booted = boot_modules(modules=[TillModule, BooksModule], backend="server", workers=1, settle_within=0.5)
    async with booted as host:
        host.workers[0].kill()
        with pytest.raises(SettleError) as caught:
            async with host.act("close"):
                await close(host)
        outstanding = host.outstanding
        assert outstanding[0] == f"worker 1 (pid {host.workers[0].pid}) is killed by the test"
        assert outstanding[1].startswith("books has not read all of sale_closed: it stands at ")
        assert "1 worker process:" in str(caught.value)
        await host.workers[0].restart()


async def test_wrong_use_is_refused_with_the_remedy(host):
    with pytest.raises(KitError, match=r"worker 1 \(pid \d+\) cannot be resumed: it is running"):
        host.workers[0].resume()
    with pytest.raises(KitError, match=r"here it is module_host.workers\[0\].kill\(\)"):
        await host.crash_worker()

    class LocalModule(BooksModule):
        pass

    with pytest.raises(KitError, match="move the class to the top level of its file"):
        async with boot_modules(modules=[LocalModule], backend="server", workers=1):
            pass
    with pytest.raises(KitError, match="worker processes cannot meet on the fake"):
        async with boot_modules(modules=[BooksModule], workers=1):
            pass
    with pytest.raises(KitError, match=r"did not boot: LifecycleError: broken failed in startup: OSError"):
        async with boot_modules(modules=[BrokenModule], backend="server", workers=1):
            pass


class NoAccountError(Exception):
    pass


class ForgetfulModule(BooksModule):
    async def book(self, meta: EventMeta, **data):
        if meta.attempt < 3:
            raise NoAccountError("what was the number?")


class SlowModule(BooksModule):
    async def book(self, session_id: str, total_cents: int, **data):
        await self.app.state.clock.wait(3600)
        await super().book(session_id, total_cents)


class GatedModule(BooksModule):
    """Waits for a file, outside of every loop's reach: the test says when."""

    async def book(self, session_id: str, total_cents: int, **data):
        gate = Path(self.app.state.config.data_dir) / "gate"
        while not gate.exists():  # noqa: ASYNC110 - another process opens the gate
            await asyncio.sleep(0.01)  # between two looks at what another process does
        await super().book(session_id, total_cents)


class FatalModule(BooksModule):
    async def book(self, **data):
        sys.stderr.write("the accounts are on fire\n")
        sys.stderr.flush()
        os._exit(7)


class HastyModule(BooksModule):
    async def book(self, session_id: str, **data):
        self.left = asyncio.create_task(self.later(session_id))

    async def later(self, session_id):
        await asyncio.sleep(0.3)  # real time, long after the ack
        await super().book(session_id, 5)


class LateTellingModule(HastyModule):
    async def startup(self, app, config):
        await super().startup(app, config)

        async def run(publisher):
            while True:
                await publisher._changed.wait()
                publisher._changed.clear()
                await asyncio.sleep(0.2)  # a busy machine
                await publisher.publish()

        if multiprocessing.current_process().name != "MainProcess":
            Publisher.run = run  # in a process that ends with the test


class BrokenModule(BooksModule):
    async def startup(self, app, config):
        if multiprocessing.current_process().name != "MainProcess":
            raise OSError("no printer")


async def started(host):
    async with asyncio.timeout(30):
        while not host.journal.running:
            await host.journal.next_change(host.journal.version, 1)


def opened(host):
    (Path(host.config.data_dir) / "gate").touch()


@pytest.mark.parametrize(("at", "entries"), [("before_handler", 1), ("emit..ack", 2), ("handler..ack", 2)])
async def test_a_fault_kills_a_real_process_where_it_says(host, at, entries):
    """With SIGKILL, once, in whichever process the event is; another is started in its place."""
    before = {worker.pid for worker in host.workers}
    async with host.act("close", faults.kill_worker(at=at, module="books")) as trace:
        await close(host)
    trace.consumed("sale_closed", by="books").ok(attempts=2)
    trace.emitted("entry_written").times(entries)
    assert len(before & {worker.pid for worker in host.workers}) == 1
    async with host.act("go on") as trace:
        await close(host, "b")
    trace.consumed("sale_closed", by="books").ok(attempts=1)
