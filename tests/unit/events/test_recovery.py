"""What each failure leads to, on every Redis: dead processes, lost replies, an absent or emptied Redis, shutdown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from recyclic.core.events.event import Event, EventMeta
from recyclic.core.events.scripts import HANDED_BACK
from recyclic.core.events.streams import DeadLetter, RedisStreams, Verdict
from recyclic.core.redis import connect
from recyclic.core.redis_process import spawn_server
from recyclic.errors import BusError

pytestmark = pytest.mark.slow  # outages and reconnections

PAIR = ("sale_closed", "paheko")


class SaleClosed(Event):
    """A till was closed."""

    session_id: str


class Gate:
    """A handler that waits inside until it is let go."""

    def __init__(self) -> None:
        self.inside = asyncio.Event()
        self.open = asyncio.Event()
        self.begun: list[str] = []
        self.done: list[str] = []

    async def handle(self, session_id: str) -> None:
        self.begun.append(session_id)
        self.inside.set()
        await self.open.wait()
        self.done.append(session_id)


class Faulty:
    """A transport whose operations can be made to fail before they happen, or after: the reply is lost."""

    def __init__(self, streams: RedisStreams) -> None:
        self.streams = streams
        self.before: dict[str, int] = {}
        self.after: dict[str, int] = {}
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        operation: Any = getattr(self.streams, name)
        if not callable(operation):
            return operation

        async def call(*args: Any, **options: Any) -> Any:
            self.calls.append(name)
            if self.before.get(name, 0):
                self.before[name] -= 1
                raise BusError(f"planted before {name}")
            answer = await operation(*args, **options)
            if self.after.get(name, 0) and answer:
                self.after[name] -= 1
                raise BusError(f"planted: the reply to {name} is lost")
            return answer

        return call


def emitter(broker):
    return broker.scoped("caisse", emits=[SaleClosed])


async def consumers(bench) -> dict[str, int]:
    [found] = await bench.streams.consumers([PAIR])
    return found


async def test_entries_of_a_dead_consumer_are_claimed_and_it_is_removed(bench) -> None:
    """Its heartbeat counter stood still for a lease; the claim counts the attempt it died in."""
    dying, heir = Gate(), Gate()
    heir.open.set()
    first = await bench.serving(("sale_closed", dying.handle), concurrency=1)
    bus = emitter(first)
    for session in "abc":
        await bus.emit("sale_closed", session_id=session)
    await dying.inside.wait()
    await bench.until(lambda: first.busy == 3)
    name = await first.crash()
    second = await bench.serving(("sale_closed", heir.handle))
    await bench.settled()
    assert sorted(heir.done) == ["a", "b", "c"]
    assert dying.done == []
    assert {call[2] for call in bench.journal.of("handled")} == {2}
    assert second.claimed == 3

    async def forgotten() -> bool:
        return name not in await consumers(bench) and name not in await bench.streams.beat("probe")

    await bench.becomes(forgotten)
    await second.drain()
    assert second.claimed == 3  # a counter, so it outlives the consumer


async def test_slow_handler_of_a_living_process_is_not_run_twice(bench) -> None:
    """Its process beats, however long the handler takes and whatever Redis thinks of idle time."""
    slow, other = Gate(), Gate()
    other.open.set()
    first = await bench.serving(("sale_closed", slow.handle), lease=0.3)
    await emitter(first).emit("sale_closed", session_id="slow")
    await slow.inside.wait()
    second = await bench.serving(("sale_closed", other.handle), lease=0.3)
    counted = (await bench.streams.beat("probe"))[first.consumer]
    while (await bench.streams.beat("probe"))[first.consumer] < counted + 12:  # two leases long
        await bench.streams.ping()
        await asyncio.sleep(0)  # the fake may answer without giving way to the heartbeat
    assert (other.begun, second.lost_leases) == ([], 0)
    slow.open.set()
    await bench.settled()
    assert (slow.done, other.done) == (["slow"], [])


async def test_ack_of_an_entry_that_was_claimed_by_another_is_refused_and_counted(bench) -> None:
    """A process that slept beyond its lease cannot ack what belongs to another by now."""
    sleeper, heir = Gate(), Gate()
    first = await bench.serving(("sale_closed", sleeper.handle))
    await emitter(first).emit("sale_closed", session_id="a")
    await sleeper.inside.wait()
    second = await bench.serving(("sale_closed", heir.handle))
    second.claim_from(first.consumer)
    await heir.inside.wait()
    sleeper.open.set()
    await bench.until(lambda: first.lost_leases == 1)
    [pending] = (await second.snapshot()).groups[PAIR].pending
    assert pending.consumer == second.consumer
    heir.open.set()
    await bench.settled()
    assert (sleeper.done, heir.done, second.lost_leases) == (["a"], ["a"], 0)


async def test_process_that_overslept_starts_nothing_that_is_another_s_by_now(bench) -> None:
    """What waited in its queue is dropped, and its own pending list says what is still its own."""
    clock, slow, heir = bench.manual_clock(), Gate(), Gate()
    heir.open.set()
    first = await bench.serving(("sale_closed", slow.handle), clock=clock, concurrency=1, lease=30.0)
    bus = emitter(first)
    for session in "abc":
        await bus.emit("sale_closed", session_id=session)
    await bench.until(lambda: first.busy == 3)
    faulty = Faulty(bench.streams)
    second = await bench.serving(("sale_closed", heir.handle), streams=faulty)
    second.claim_from(first.consumer)
    await bench.until(lambda: sorted(heir.done) == ["a", "b", "c"])
    clock.advance(31.0)
    slow.open.set()
    await bench.until(lambda: first.busy == 0)
    assert slow.begun == ["a"]


@pytest.mark.slow  # waits for reconnections
@pytest.mark.parametrize("operation", ["read", "news", "take_due", "ack", "schedule_retry", "dead_letter", "mine"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_no_lost_request_or_reply_loses_an_event(bench, operation, when) -> None:
    """Each operation fails several times, before or after it happens: every event is handled, every outcome written."""
    handled: list[str] = []
    failed: set[str] = set()

    async def handler(session_id: str) -> None:
        if session_id.startswith("poison"):
            raise ValueError("never")
        if session_id.startswith("once") and session_id not in failed:
            failed.add(session_id)
            raise ValueError("once")
        handled.append(session_id)

    faulty = Faulty(bench.streams)
    getattr(faulty, when)[operation] = 1 if operation == "news" else 3
    if operation == "mine":
        faulty.after["read"] = 1
    broker = await bench.serving(("sale_closed", handler), streams=faulty, max_attempts=2)
    bus = emitter(broker)
    names = [f"{kind}{number}" for kind in ("plain", "once", "poison") for number in range(10)]
    for name in names:
        await bus.emit("sale_closed", session_id=name)
    await bench.settled()
    await bench.until(lambda: broker.busy == 0 and not any((*faulty.before.values(), *faulty.after.values())))
    assert set(handled) == {name for name in names if not name.startswith("poison")}
    letters = {letter.envelope.data["session_id"] for letter in await bench.letters(broker)}
    assert letters == {name for name in names if name.startswith("poison")}


async def test_reply_to_a_read_that_was_lost_is_recovered_from_the_own_pending_list(bench) -> None:
    """Handled once, by the same process, with its first attempt."""
    gate = Gate()
    gate.open.set()
    faulty = Faulty(bench.streams)
    broker = await bench.serving(("sale_closed", gate.handle), streams=faulty)
    await bench.until(lambda: faulty.calls.count("read") >= 1)
    await bench.settled()

    faulty.after["read"] = 5
    await emitter(broker).emit("sale_closed", session_id="a")
    await bench.until(lambda: gate.done)
    faulty.after.clear()
    await bench.settled()
    assert gate.done == ["a"]
    assert bench.journal.of("handled") == [("sale_closed", "paheko", 1)]


@pytest.mark.parametrize("how", ["flushall", "stream deleted", "group destroyed"])
async def test_missing_group_is_created_again_and_said_so(bench, how, log) -> None:
    """What is emitted afterwards arrives; a group alone starts at the first retained entry."""
    gate = Gate()
    gate.open.set()
    broker = await bench.serving(("sale_closed", gate.handle))
    await emitter(broker).emit("sale_closed", session_id="before")
    await bench.settled()
    await bench.until(lambda: not broker.busy)
    if how == "flushall":
        await bench.client.flushall()
    elif how == "stream deleted":
        await bench.client.delete("events:sale_closed")
    else:
        await bench.client.xgroup_destroy("events:sale_closed", "paheko")
    await emitter(broker).emit("sale_closed", session_id="after")
    await bench.until(lambda: "after" in gate.done)
    await bench.settled()
    assert gate.done == (["before", "before", "after"] if how == "group destroyed" else ["before", "after"])
    assert "consumer groups were missing" in log


async def test_flush_under_a_running_handler_stops_nothing(bench) -> None:
    """Its ack finds nothing, and later events are handled."""
    gate = Gate()
    broker = await bench.serving(("sale_closed", gate.handle))
    await emitter(broker).emit("sale_closed", session_id="a")
    await gate.inside.wait()
    await bench.client.flushall()
    gate.open.set()
    await emitter(broker).emit("sale_closed", session_id="b")
    await bench.until(lambda: "b" in gate.done)
    await bench.settled()
    await bench.until(lambda: broker.busy == 0)


async def test_drain_finishes_what_runs_and_hands_back_what_waits(bench) -> None:
    """Nothing is left with the process that goes: others can take it at once, with no attempt counted."""
    gate, heir = Gate(), Gate()
    heir.open.set()
    first = await bench.serving(("sale_closed", gate.handle), concurrency=1)
    bus = emitter(first)
    for session in "abc":
        await bus.emit("sale_closed", session_id=session)
    await bench.until(lambda: first.busy == 3 and gate.inside.is_set())
    draining = asyncio.create_task(first.drain())
    await asyncio.sleep(0)
    await bus.emit("sale_closed", session_id="d")
    gate.open.set()
    await draining
    assert gate.done == ["a"]
    # "d" may have come with a read that waited behind the doorbell, and is handed back too then
    assert await consumers(bench) in ({HANDED_BACK: 2}, {HANDED_BACK: 3})
    assert first.busy == 0
    second = await bench.serving(("sale_closed", heir.handle))
    await bench.settled()
    assert sorted(heir.done) == ["b", "c", "d"]
    assert {call[2] for call in bench.journal.of("handled")} == {1}
    assert second.consumer in await consumers(bench)


async def test_drain_cuts_handlers_that_do_not_finish_in_time(bench) -> None:
    """Their entries are handed back; the cut does not count as an attempt."""
    clock, gate, heir = bench.manual_clock(), Gate(), Gate()
    heir.open.set()
    first = await bench.serving(("sale_closed", gate.handle), clock=clock)
    await emitter(first).emit("sale_closed", session_id="a")
    await gate.inside.wait()
    draining = asyncio.create_task(first.drain(timeout=5.0))
    while not draining.done():
        clock.advance(1.0)
        await bench.streams.ping()
        await asyncio.sleep(0)  # the fake may answer without giving way to the drain
    await draining
    assert gate.done == []
    await bench.serving(("sale_closed", heir.handle))
    await bench.settled()
    assert heir.done == ["a"]
    assert bench.journal.of("handled") == [("sale_closed", "paheko", 1)]
    assert bench.journal.of("failed") == []


async def test_retry_scheduled_by_a_process_that_left_is_taken_by_another(bench) -> None:
    """The due time stays with the entry."""
    clock, seen = bench.manual_clock(), []

    async def fails(session_id: str) -> None:
        raise ValueError("no")

    async def succeeds(session_id: str) -> None:
        seen.append(session_id)

    first = await bench.serving(("sale_closed", fails), clock=clock, backoff=10.0)
    await emitter(first).emit("sale_closed", session_id="a")
    await bench.until(lambda: bench.journal.of("failed") and not first.busy)
    due = (await first.snapshot()).next_due
    await first.drain()
    assert (await first.snapshot()).next_due == due == clock.now() + 10.0
    await bench.serving(("sale_closed", succeeds), clock=clock)
    clock.advance(10.0)
    await bench.settled()
    assert seen == ["a"]
    assert bench.journal.of("handled") == [("sale_closed", "paheko", 2)]


async def test_broker_consumes_again_after_a_crash_under_another_name(bench) -> None:
    """Each start is another consumer, and inherits from the one before like from any dead one."""
    gate = Gate()
    broker = await bench.serving(("sale_closed", gate.handle))
    await emitter(broker).emit("sale_closed", session_id="a")
    await gate.inside.wait()
    dead = await broker.crash()
    gate.open.set()
    assert (broker.consumer, broker.busy, broker.tasks) == (None, 0, frozenset())
    await broker.start()
    broker.consume()
    assert broker.consumer != dead
    broker.claim_from(dead)
    await bench.settled()
    assert gate.done == ["a"]


async def test_connections_do_not_grow_with_the_modules(bench) -> None:
    """Sixty groups over twenty streams: the client's bounded pool and one doorbell."""
    if bench.backend == "fake":
        pytest.skip("an in-process fake has no connections")
    seen = 0
    broker = bench.broker()

    async def handler(**data: object) -> None:
        nonlocal seen
        seen += 1

    events = [
        type(f"Thing{n}Done", (Event,), {"__annotations__": {"x": int}, "name": f"thing{n}_done"}) for n in range(20)
    ]
    bus = broker.scoped("caisse", emits=events)
    for module in ("one", "two", "three"):
        for event in events:
            broker.scoped(module).on(event, handler)
    await broker.start()
    broker.consume()
    await asyncio.gather(*(bus.emit(event(x=1)) for event in events for _ in range(10)))
    await bench.settled()
    assert seen == 600
    assert int((await bench.client.info("clients"))["connected_clients"]) <= 17


async def test_redis_that_goes_and_comes_back_is_found_again(tmp_path, bench) -> None:
    """Killed and started again on its append-only file: what was emitted before, and after, is handled."""
    if bench.backend != "redis":
        pytest.skip("one kind of server is enough for this drill")
    folder = tmp_path / "r"
    process = spawn_server(folder, persistent=True)
    client = connect(process.url)
    streams = RedisStreams(client)
    try:
        seen: list[str] = []
        gate = asyncio.Event()

        async def handler(session_id: str) -> None:
            await gate.wait()
            seen.append(session_id)

        broker = await bench.serving(("sale_closed", handler), streams=streams)
        bus = emitter(broker)
        for number in range(12):
            await bus.emit("sale_closed", session_id=str(number))
        await bench.until(lambda: broker.busy == 12)
        process.kill()
        with pytest.raises(BusError, match="cannot append"):
            await bus.emit("sale_closed", session_id="refused")
        gate.set()
        await bench.until(lambda: len(seen) == 12)
        assert broker.busy == 12  # handled, but the acks could not be written
        process = spawn_server(folder, persistent=True)
        await bench.until(lambda: broker.busy == 0)
        await bus.emit("sale_closed", session_id="later")
        await bench.until(lambda: "later" in seen)
        assert len(seen) == 13
        await broker.close()
        bench.brokers.clear()
    finally:
        await streams.close()
        await client.aclose()
        process.stop()


async def test_append_whose_reply_is_lost_is_told_as_an_error_and_its_delivery_still_as_emitted(bench) -> None:
    """The caller cannot know; whoever watches the bus sees an event that was emitted, then handled."""
    gate = Gate()
    gate.open.set()
    faulty = Faulty(bench.streams)
    broker = await bench.serving(("sale_closed", gate.handle), streams=faulty)
    faulty.after["append"] = 1
    with pytest.raises(BusError, match="append is lost"):
        await emitter(broker).emit("sale_closed", session_id="a")
    await bench.until(lambda: gate.done)
    await bench.settled()
    await bench.until(lambda: broker.busy == 0)
    assert [call[0] for call in bench.journal.calls] == ["emitted", "delivered", "handled", "settled"]


async def test_fenced_operations_refuse_what_is_another_s(bench) -> None:
    """Ack, retry and dead letter do nothing to an entry of another consumer, or to one that is not pending."""
    streams = bench.streams
    await streams.ensure_groups([PAIR])
    entry_id = await streams.append("sale_closed", {"data": b"{}"})
    [[entry]] = await streams.read("mine", [(PAIR, 10)])
    letter = DeadLetter(event=PAIR[0], group=PAIR[1], entry_id=entry.id, reason="x", attempts=1, dead_at=1.0)
    retry = {"due": 1.0, "attempt": 1, "error": "", "now": 0.0}
    assert await streams.ack("other", [(PAIR, (entry_id,))]) == [[Verdict.LOST]]
    assert await streams.schedule_retry(PAIR, "other", entry_id, **retry) is Verdict.LOST
    assert await streams.dead_letter(PAIR, "other", letter) is Verdict.LOST
    assert await streams.ack("mine", [(PAIR, (entry_id, "1-1"))]) == [[Verdict.DONE, Verdict.GONE]]
    assert await streams.schedule_retry(PAIR, "mine", entry_id, **retry) is Verdict.GONE
    assert await streams.dead_letter(PAIR, "mine", letter) is Verdict.GONE
    assert (await streams.snapshot([PAIR])).settled
    assert await streams.ack("mine", [(("nothing", "nobody"), (entry_id,))]) == [[Verdict.GONE]]


async def test_what_cost_a_process_its_life_is_claimed_alone(bench) -> None:
    """Fresh entries come together; one that was lost before comes without company, whatever lies around it."""
    streams = bench.streams
    await streams.ensure_groups([PAIR])
    entries = [await streams.append("sale_closed", {"data": b"{}"}) for _ in range(7)]
    lost_before, scheduled = (entries[2], entries[3], entries[6]), entries[1]
    await streams.read("dead", [(PAIR, 10)])
    for entry_id in (*lost_before, scheduled):
        await streams.schedule_retry(PAIR, "dead", entry_id, due=5.0, attempt=1, error="x", now=0.0)
    assert await streams.take_due("dead", [(PAIR, 10)], now=4.9) == [[]]
    [due] = await streams.take_due("dead", [(PAIR, 10)], now=5.0)
    assert len(due) == 4
    await streams.schedule_retry(PAIR, "dead", scheduled, due=9.0, attempt=2, error="x", now=0.0)
    claims = []
    while True:
        held, claimed = await streams.claim(PAIR, "heir", "dead", limit=10, now=6.0, max_attempts=5)
        if not held:
            break
        claims.append([(entries.index(entry.id), entry.attempts) for entry in claimed])
    assert claims == [[(0, 1)], [(2, 2)], [(3, 2)], [(4, 1), (5, 1)], [(6, 2)]]
    assert {pending.consumer for pending in (await streams.snapshot([PAIR])).groups[PAIR].pending} == {"heir"}
    assert [pending.due for pending in (await streams.snapshot([PAIR])).groups[PAIR].pending].count(9.0) == 1


@pytest.mark.parametrize("max_attempts", [1, 2, 3])
async def test_no_death_in_company_is_the_last_attempt(bench, max_attempts) -> None:
    """Innocents are handed over alone once before they could be taken for poison."""
    streams = bench.streams
    await streams.ensure_groups([PAIR])
    for _ in range(3):
        await streams.append("sale_closed", {"data": b"{}"})
    await streams.read("life 0", [(PAIR, 10)])
    was_alone: set[str] = set()
    for life in range(1, 8):
        heir, dead = f"life {life}", f"life {life - 1}"
        while True:
            held, claimed = await streams.claim(PAIR, heir, dead, limit=10, now=6.0, max_attempts=max_attempts)
            if not held:
                break
            for entry in claimed:
                if entry.attempts >= max_attempts:  # taken for poison
                    assert entry.id in was_alone
                    await streams.ack(heir, [(PAIR, (entry.id,))])
            if len(claimed) == 1:
                was_alone.add(claimed[0].id)
    assert (await streams.snapshot([PAIR])).settled


async def test_retry_that_a_wrong_clock_put_off_is_run_as_soon_as_it_is_seen(bench) -> None:
    """Its process believed to be an hour ahead; an honest retry is never so far away."""
    clock = bench.manual_clock()
    clock.advance(3600.0)
    seen: list[int] = []

    async def handler(session_id: str, meta: EventMeta) -> None:
        seen.append(meta.attempt)
        if meta.attempt == 1:
            raise ValueError("the first time")

    broker = await bench.serving(("sale_closed", handler), clock=clock, backoff=5.0, max_backoff=300.0)
    await emitter(broker).emit("sale_closed", session_id="a")

    async def scheduled() -> bool:
        return (await broker.snapshot()).next_due is not None

    await bench.becomes(scheduled)
    clock.advance(-3600.0)
    broker.wake()
    await bench.settled()
    assert seen == [1, 2]
