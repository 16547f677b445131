"""Each fault bites where it says, is told in the timeline, and loses nothing that the bus promises."""

from __future__ import annotations

import pytest

from recyclic import ModuleBase
from recyclic.testing import KitError, StrictError, boot_modules, faults
from tests.kit.test_host import SHOP, BooksModule, TillModule, close

pytestmark = pytest.mark.slow  # a host for each fault


@pytest.fixture(params=["fake", pytest.param("server", marks=pytest.mark.slow)])
def backend(request):
    return request.param


@pytest.fixture
async def host(backend):
    async with boot_modules(modules=SHOP, backend=backend) as host:
        yield host


@pytest.fixture
async def outbox_host(backend):
    """Books that emit with their transaction, as a till does."""

    class LedgerModule(BooksModule):
        async def book(self, session_id: str, total_cents: int, **data):
            async with self.app.state.database.unit_of_work() as uow:
                await self.bus.within(uow).emit("entry_written", session_id=session_id, amount_cents=total_cents)

    async with boot_modules(modules=[TillModule, LedgerModule], backend=backend) as host:
        yield host


ENTRIES = {
    "before_handler": 1,
    "emit..ack": 2,
    "handler..ack": 2,
    "ack..reply": 1,
    "commit..send": 1,
    "send..mark": 2,
}
"""How many entries the books write, each death being a redelivery from there."""


@pytest.mark.parametrize("at", faults.KILL_POINTS)
async def test_a_killed_worker_loses_nothing(host, at):
    dead = host.module("books")
    async with host.act("close", faults.kill_worker(at=at)) as trace:
        await close(host)
    trace.consumed("sale_closed", by="books").once().ok()
    trace.emitted("entry_written").times(ENTRIES[at])
    assert host.module("books") is not dead


@pytest.mark.parametrize(("at", "attempts"), [("before_handler", 2), ("handler..ack", 2), ("ack..reply", 1)])
async def test_what_a_dead_worker_held_is_claimed_after_its_lease(host, at, attempts):
    async with host.act("close", faults.kill_worker(at=at, event="sale_closed", module="books")) as trace:
        await close(host)
    trace.consumed("sale_closed", by="books").ok(attempts=attempts).delivered(attempts)
    assert (host.clock.monotonic() >= 30) == (attempts == 2), "the lease had to run out"


async def test_a_worker_dies_after_its_commit_and_before_its_ack(outbox_host):
    async with outbox_host.act("close", faults.kill_worker(at="emit..ack", module="ledger")) as trace:
        await close(outbox_host)
    trace.consumed("sale_closed", by="ledger").ok(attempts=2)
    trace.emitted("entry_written").times(2)
    assert "! faults.kill_worker(at='emit..ack', module='ledger'): the worker dies after the commit of ledger" in str(
        trace
    )


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("operation", ["append", "hand_over", "ack", "read"])
async def test_a_connection_that_breaks_loses_nothing(host, operation, times):
    async with host.act("close", faults.disconnect(operation, times=times)) as trace:
        await close(host)
    trace.consumed("sale_closed", by="books", session_id="a").ok()


async def test_a_commit_that_is_refused_is_rolled_back_and_the_handler_tried_again(outbox_host):
    async with outbox_host.act("close", faults.commit("ledger", times=2)) as trace:
        await close(outbox_host)
    trace.consumed("sale_closed", by="ledger").ok(attempts=3).failed("the commit failed: the connection is gone")
    trace.emitted("entry_written").once()


async def test_a_commit_whose_reply_is_lost_is_done(outbox_host):
    async with outbox_host.act("close", faults.commit("ledger", lose_reply=True)) as trace:
        await close(outbox_host)
    trace.consumed("sale_closed", by="ledger").ok(attempts=2)
    trace.emitted("entry_written").times(2)


async def test_a_request_whose_commit_is_refused_emits_nothing(host):
    async with host.act("close", faults.commit("till", error="the disk is full")) as trace:
        response = await host.http.post("/api/modules/till/close/a")
    assert response.status_code == 500
    trace.never("sale_closed")
    assert "! faults.commit('till'): till's commit is refused" in str(trace)


@pytest.mark.parametrize("lose_reply", [False, True])
async def test_the_outbox_hands_over_again(host, lose_reply):
    async with host.act("close", faults.on("hand_over", lose_reply=lose_reply, times=2)) as trace:
        await close(host)
    trace.emitted("sale_closed").once()
    trace.consumed("sale_closed", by="books").once().ok().delivered(3 if lose_reply else 1)


async def test_an_append_whose_reply_is_lost_is_seen_though_nobody_handles_it(host):
    async with host.act("close", faults.on("append", event="entry_written", lose_reply=True)) as trace:
        await close(host)
    trace.consumed("sale_closed", by="books").ok(attempts=2)
    trace.emitted("entry_written").times(2)


class ListModule(ModuleBase):
    """Writes down in which order it is called."""

    seen: list[str]

    async def startup(self, app, config):
        self.seen = []

    async def shutdown(self):
        pass

    def register_signals(self, bus):
        bus.on("sale_closed", self.note, concurrency=1)

    async def note(self, session_id: str, **data):
        self.seen.append(session_id)


class TestReorder:
    async def orders(self, backend, seed):
        async with boot_modules(modules=[TillModule, ListModule], backend=backend) as host:
            async with host.act("ten", faults.reorder(seed=seed)) as trace:
                for number in range(10):
                    await host.bus.emit("sale_closed", session_id=str(number), total_cents=1)
            trace.consumed("sale_closed", by="list").times(10).ok(attempts=1)
            return host.module("list").seen

    async def test_the_seed_decides_the_order(self, backend):
        first, again, other = [await self.orders(backend, seed) for seed in (1, 1, 2)]
        assert sorted(first) == sorted(other) == [str(number) for number in range(10)]
        assert first == again
        assert first != other
        assert first != sorted(first)

    async def test_handlers_have_their_turns_one_at_a_time(self, backend):
        at_once = most = 0

        class SlowModule(BooksModule):
            async def book(self, session_id: str, **data):
                nonlocal at_once, most
                at_once += 1
                most = max(most, at_once)
                await self.app.state.clock.wait(1)
                at_once -= 1

        async with boot_modules(modules=[TillModule, SlowModule], backend=backend) as host:
            async with host.act("five", faults.reorder(seed=3)) as trace:
                for number in range(5):
                    await host.bus.emit("sale_closed", session_id=str(number), total_cents=1)
            trace.consumed("sale_closed").times(5).ok(attempts=1)
        assert most == 1


async def test_faults_that_make_no_sense_are_refused():
    with pytest.raises(KitError, match=r"faults.disconnect\('apend'\): no such operation \(did you mean 'append'\?\)"):
        faults.disconnect("apend")
    with pytest.raises(KitError, match=r"faults.reordered\(seeds=\(\)\): without a seed nothing is tried"):
        faults.reordered(seeds=())


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (faults.commit, "faults.commit('paheko')"),
        (faults.disconnect, "faults.disconnect('paheko')"),
    ],
)
async def test_a_fault_that_never_bit_is_named(host, fault, name):
    argument = "paheko" if fault is faults.commit else "dead_letter"
    with pytest.raises(StrictError) as caught:
        async with host.act("close", fault(argument)):
            await close(host)
    told = str(caught.value).splitlines()[0]
    assert told == f"{name.replace('paheko', argument)} never bit: nothing that happened was its business"
