"""Known pitfalls of Redis Streams that concern history, groups, consumers and poison: each answered, by its number."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time

import pytest

from recyclic.core.clock import SystemClock
from recyclic.core.events.event import Event, EventMeta
from recyclic.core.events.history import Window
from recyclic.core.events.replay import Replay
from recyclic.core.events.retention import Janitor
from recyclic.core.events.scripts import HANDED_BACK
from recyclic.core.events.settings import BrokerSettings

pytestmark = pytest.mark.slow  # histories of a year, deaths by the dozen

PAIR = ("thing_done", "paheko")
KEY = "events:thing_done"


class ThingDone(Event):
    """Something was done."""

    number: int


class Handler:
    """Keeps what it got, and waits where it is told to."""

    def __init__(self, *, closed: bool = False) -> None:
        self.seen: list[int] = []
        self.metas: list[EventMeta] = []
        self.inside = asyncio.Event()
        self.gate = asyncio.Event()
        if not closed:
            self.gate.set()

    async def __call__(self, number: int, meta: EventMeta) -> None:
        self.inside.set()
        await self.gate.wait()
        self.seen.append(number)
        self.metas.append(meta)

    async def handle(self, number: int, meta: EventMeta) -> None:
        await self(number, meta)


def emitter(broker):
    return broker.scoped("caisse", emits=[ThingDone])


async def names(bench) -> set[str]:
    [found] = await bench.streams.consumers([PAIR])
    return set(found)


async def test_pitfall_01_what_nobody_has_read_outlives_any_length_and_a_missing_body_is_told(bench) -> None:
    """MAXLEN would drop it with lag and pending at 0: appending trims nothing, and the janitor stops before it."""
    handler = Handler()
    await bench.streams.ensure_groups([PAIR])
    bus = emitter(bench.broker(maxlen=50))
    janitor = Janitor(bench.streams, SystemClock(), BrokerSettings(maxlen=50), lambda: ["thing_done"])
    for start in range(0, 600, 100):
        await asyncio.gather(*(bus.emit("thing_done", number=start + number) for number in range(100)))
        assert await janitor.sweep() == 0
    await bench.serving(("thing_done", handler.handle), maxlen=50)
    await bench.settled(PAIR)
    await bench.until(lambda: len(handler.seen) == 600)
    assert sorted(handler.seen) == list(range(600))
    assert await janitor.sweep() > 0

    await bench.streams.ensure_groups([("till_opened", "paheko")])
    await bench.raw("till_opened", {"foo": "bar"})
    await bench.streams.read("dead", [(("till_opened", "paheko"), 10)])
    await bench.client.xtrim("events:till_opened", maxlen=0)  # as somebody else's MAXLEN does
    broker = await bench.serving(("till_opened", handler.handle))
    broker.claim_from("dead")
    await bench.until(lambda: bench.journal.of("dead"))
    [letter] = [found async for found in broker.dead_letters.all(event="till_opened")]
    assert "its body is gone" in letter.reason


async def test_pitfall_02_the_janitor_needs_no_newer_command_and_a_group_that_never_runs_pins_with_an_alarm(
    bench, log
) -> None:
    """Fifty groups with random acks: nothing lost; one sweep goes on where one XTRIM stops; who pins is named."""
    chance = random.Random(2)
    groups = [("thing_done", f"group{number}") for number in range(50)]
    await bench.streams.ensure_groups(groups)
    pipe = bench.client.pipeline(transaction=False)
    for _ in range(12_000):
        pipe.xadd(KEY, {"n": "1"})
    written = [entry_id.decode() for entry_id in await pipe.execute()]
    unacked: set[str] = set()
    for pair in groups[1:]:
        reached = chance.randrange(10_500, 12_000)
        await bench.client.xgroup_setid(KEY, pair[1], written[reached])
        [entries] = await bench.streams.read("c", [(pair, 200)])
        ids = [entry.id for entry in entries]
        acked = chance.sample(ids, len(ids) // 2)
        if acked:
            await bench.streams.ack("c", [(pair, tuple(acked))])
        unacked |= {*ids} - {*acked} | {*written[reached + 1 + len(ids) :]}
    settings = BrokerSettings(maxlen=100, hard_limit=11_000)
    janitor = Janitor(bench.streams, SystemClock(), settings, lambda: ["thing_done"])
    assert await janitor.sweep() == 0
    assert [(found.held_by, found.held_from) for found in janitor.over_limit] == [("group0", written[0])]
    assert "longer than its hard limit" in log
    assert await bench.streams.forget(groups[0])
    assert await janitor.sweep() >= 10_300
    assert janitor.over_limit == []
    left = {entry_id.decode() for entry_id, _ in await bench.client.xrange(KEY)}
    assert unacked
    assert unacked <= left


async def test_pitfall_04_history_of_a_year_can_be_replayed_although_maxlen_was_passed_long_ago(bench) -> None:
    """`retain_days` keeps it by time, and a replay is not cut by what is emitted meanwhile."""
    now, day = int(time.time()), 86_400
    pipe = bench.client.pipeline(transaction=False)
    broker = bench.broker(maxlen=100, retain_days=366.5)
    bus = emitter(broker)
    for age in range(400, 0, -1):
        envelope = broker.seal(ThingDone, "caisse", {"number": age}, (None, None), "a test")
        pipe.xadd(KEY, envelope.encode(), id=f"{(now - age * day) * 1000}-0")
    await pipe.execute()
    handler = Handler()
    broker.scoped("paheko").on("thing_done", handler.handle)
    await broker.start()
    broker.consume()
    await bench.settled()
    while (await bench.streams.trim("thing_done", 100, retain=366.5 * day, now=time.time(), exact=True)).trimmed:
        pass
    assert await bench.client.xlen(KEY) == 366
    await bus.emit("thing_done", number=0)
    report = await Replay(bench.streams, SystemClock(), PAIR).run(Window())
    await bench.settled()
    await bench.until(lambda: len(handler.seen) == 401 + report.sent)
    assert report.sent == 367
    assert sorted(meta.replayed for meta in handler.metas).count(True) == 367


async def test_pitfall_17_a_group_begins_with_what_was_emitted_before_it(bench) -> None:
    """Made at `$` it would have seen one of six; and it exists before anything can be emitted."""
    bus = emitter(bench.broker())
    for number in range(5):
        await bus.emit("thing_done", number=number)
    handler = Handler()
    broker = bench.broker()
    broker.scoped("paheko").on("thing_done", handler.handle)
    await broker.start()
    [group] = await bench.client.xinfo_groups(KEY)
    assert (group["name"], group["last-delivered-id"]) == (b"paheko", b"0-0")
    await bus.emit("thing_done", number=5)
    broker.consume()
    await bench.settled()
    await bench.until(lambda: len(handler.seen) == 6)
    assert sorted(handler.seen) == list(range(6))


async def test_pitfall_18_a_consumer_that_holds_something_is_never_deleted(bench) -> None:
    """DELCONSUMER would lose what it holds; a leaving one hands over first."""
    await bench.streams.ensure_groups([PAIR])
    entry_id = await bench.streams.append("thing_done", {"n": b"1"})
    await bench.streams.read("mine", [(PAIR, 10)])
    assert not await bench.streams.remove_consumer(PAIR, "mine")
    assert await names(bench) == {"mine"}
    [pending] = (await bench.streams.snapshot([PAIR])).groups[PAIR].pending
    assert (pending.entry_id, pending.consumer) == (entry_id, "mine")
    assert await bench.streams.leave([PAIR], "mine", 0.0) == 0
    assert await names(bench) == {HANDED_BACK}
    [[entry]] = await bench.streams.take_due("heir", [(PAIR, 10)], 1.0)
    assert entry.id == entry_id
    await bench.streams.ack("heir", [(PAIR, (entry_id,))])
    assert await bench.streams.remove_consumer(PAIR, "heir")
    assert await names(bench) == {HANDED_BACK}


async def test_pitfall_19_starts_and_deaths_leave_no_names_behind(bench) -> None:
    """Each start has a name of its own; those that left, and those that died and hold nothing, are pruned."""
    handler, used = Handler(), set()
    for number in range(12):
        broker = await bench.serving(("thing_done", handler.handle), lease=0.2)
        used.add(broker.consumer)
        await emitter(broker).emit("thing_done", number=number)
        await bench.settled(PAIR)
        await bench.until(lambda broker=broker: not broker.busy)
        if number % 2:
            await broker.drain()
        else:
            await broker.crash()
    assert len(used) == 12
    last = await bench.serving(("thing_done", handler.handle), lease=0.2)

    async def pruned() -> bool:
        beats = {name.decode() for name in await bench.client.hkeys("recyclic:heartbeats")}
        return await names(bench) <= {last.consumer, HANDED_BACK} and beats == {last.consumer}

    await bench.becomes(pruned)


async def test_pitfall_20_poison_is_buried_and_acked_in_one_step_and_can_be_given_back(bench) -> None:
    """After its attempts, or at once where it cannot be read; at no moment is it both or neither."""
    mended = False
    handled: list[int] = []

    async def handler(number: int) -> None:
        if not mended:
            raise ValueError("poison")
        handled.append(number)

    broker = await bench.serving(("thing_done", handler), max_attempts=3)
    bus = emitter(broker)
    await bench.raw("thing_done", {"foo": "bar"})
    for number in range(20):
        await bus.emit("thing_done", number=number)
    dead, held = f"dead:{{{KEY}}}:paheko", set()
    while True:
        pipe = bench.client.pipeline(transaction=True)
        pipe.xlen(dead)
        pipe.execute_command("XINFO GROUPS", KEY)
        pipe.xlen(KEY)
        buried, [group], length = await pipe.execute()
        unread = length - int(group.get("entries-read") or 0)
        held.add(buried + int(group["pending"]) + unread)
        if buried == 21:
            break
        await bench.breathe()
    assert held == {21}
    assert len(bench.journal.of("failed")) == 60
    mended = True
    for letter in await bench.letters():
        assert await broker.dead_letters.requeue(letter)
    await bench.settled()
    await bench.until(lambda: len(handled) == 20)
    [undecodable] = await bench.letters()
    assert "no field 'data'" in undecodable.reason


async def test_pitfall_22_shutdown_finishes_what_runs_acks_it_and_hands_back_the_rest(bench) -> None:
    """Nothing fetched is dropped, nothing that was handled comes again, and the consumer's name is gone."""
    slow, heir = Handler(closed=True), Handler()
    first = await bench.serving(("thing_done", slow.handle), concurrency=2)
    bus = emitter(first)
    for number in range(30):
        await bus.emit("thing_done", number=number)
    await bench.until(lambda: first.busy >= 3 and slow.inside.is_set())
    name = first.consumer
    draining = asyncio.create_task(first.drain())
    await bench.breathe()
    slow.gate.set()
    await draining
    assert 1 <= len(slow.seen) < 30
    assert name not in await names(bench)
    state = (await bench.streams.snapshot([PAIR])).groups[PAIR]
    assert {pending.consumer for pending in state.pending} <= {HANDED_BACK}
    assert all(pending.attempts == 0 for pending in state.pending)
    await bench.serving(("thing_done", heir.handle))
    await bench.settled(PAIR)
    await bench.until(lambda: len(slow.seen) + len(heir.seen) >= 30)
    assert sorted([*slow.seen, *heir.seen]) == list(range(30))


async def test_pitfall_25_duplicates_have_the_events_id_and_a_unique_key_makes_them_harmless(bench, tmp_path) -> None:
    """Retried, claimed after a death, requeued and replayed: one effect for each event."""
    books = sqlite3.connect(tmp_path / "books.sqlite3", isolation_level=None)
    books.execute("CREATE TABLE entries (event_id TEXT PRIMARY KEY, number INTEGER)")
    calls: list[str] = []
    troubles = {0: "raises once after its effect", 1: "dies after its effect", 2: "raises always after its effect"}
    dying = asyncio.Event()

    async def book(number: int, meta: EventMeta) -> None:
        calls.append(meta.id)
        books.execute("INSERT OR IGNORE INTO entries VALUES (?, ?)", (meta.id, number))
        if number == 0 and meta.attempt == 1 and not meta.replayed:
            raise ValueError(troubles[0])
        if number == 1 and calls.count(meta.id) == 1:
            dying.set()
            await asyncio.Event().wait()
        if number == 2 and meta.attempt <= 3 and calls.count(meta.id) <= 3:
            raise ValueError(troubles[2])

    broker = await bench.serving(("thing_done", book), max_attempts=3)
    bus = emitter(broker)
    ids = [await bus.emit("thing_done", number=number) for number in range(5)]
    await bench.until(dying.is_set)
    dead = await broker.crash()
    broker = await bench.serving(("thing_done", book), max_attempts=3)
    broker.claim_from(dead)
    await bench.until(lambda: bench.journal.of("dead"))
    await bench.settled(PAIR)
    [letter] = await bench.letters()
    assert await broker.dead_letters.requeue(letter)
    await bench.settled(PAIR)
    await Replay(bench.streams, SystemClock(), PAIR).run(Window())
    await bench.settled(PAIR)
    await bench.until(lambda: calls.count(ids[4]) >= 2 and not broker.busy)
    assert all(calls.count(event_id) >= 2 for event_id in ids)
    assert set(calls) == set(ids)
    rows = books.execute("SELECT event_id, number FROM entries ORDER BY number").fetchall()
    assert rows == list(zip(ids, range(5), strict=True))
    books.close()
