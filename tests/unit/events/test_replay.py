"""Replays, on every Redis: history to one group again, marked, at a pace; no other group notices."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from recyclic.core.clock import SystemClock
from recyclic.core.events.dead_letters import DeadLetters
from recyclic.core.events.event import Envelope, EventMeta
from recyclic.core.events.history import History, Window, first_id, last_id, moment
from recyclic.core.events.replay import Pace, Replay
from recyclic.errors import BusError
from tests.unit.events.shop_year import DAY, EVENT, PAIR, Module, a_year, envelope, serving

pytestmark = pytest.mark.slow  # interruptions at every step


async def test_replay_of_a_year_into_one_module_touches_no_other(bench) -> None:
    """Not one that runs beside it, and not one that is stopped, which finds nothing of it when it comes back."""
    paheko, members, stopped = Module(), Module(), Module()
    await bench.streams.ensure_groups([(EVENT, "stopped")])
    originals = await a_year(bench)
    broker, bus = await serving(bench, paheko=paheko, members=members)
    await bench.settled()
    await bench.until(lambda: len(paheko.seen) == len(members.seen) == 365)

    report = await Replay(bench.streams, SystemClock(), PAIR).run(Window())
    await bus.emit("sale_closed", number=365)
    await bench.settled()
    await bench.until(lambda: len(paheko.seen) == 365 * 2 + 1)
    assert (report.sent, report.copies, report.unreadable, report.position) == (365, 0, 0, originals[-1])
    assert members.numbers == list(range(366))
    again = [seen for seen in paheko.seen if seen[2]]
    assert sorted(again) == sorted((number, f"event-{number}", True) for number in range(365))
    assert {seen[:2] for seen in again} == {seen[:2] for seen in paheko.seen if not seen[2] and seen[0] < 365}

    await serving(bench, stopped=stopped)
    await bench.settled()
    await bench.until(lambda: len(stopped.seen) == 366)
    assert stopped.numbers == list(range(366))
    assert not any(replayed for _, _, replayed in stopped.seen)
    assert await bench.letters(broker) == []


async def test_history_is_the_same_after_a_replay_and_can_be_replayed_again(bench) -> None:
    """Copies go once all have acked them; a second replay, to another group, finds what the first found."""
    first, second = Module(), Module()
    originals = await a_year(bench, 30)
    await serving(bench, paheko=first, members=second)
    await bench.settled()
    for group in ("paheko", "members"):
        report = await Replay(bench.streams, SystemClock(), (EVENT, group)).run(Window())
        assert report.sent == 30
        await bench.settled()
        await bench.streams.trim(EVENT, 30, exact=True)
        assert [entry.id async for entry in History(bench.streams).entries(EVENT)] == originals
    assert (len(first.seen), len(second.seen)) == (60, 60)


async def test_copies_of_earlier_replays_are_left_out_and_counted(bench) -> None:
    """What they are copies of is replayed."""
    await a_year(bench, 10)
    await bench.streams.ensure_groups([PAIR])
    await Replay(bench.streams, SystemClock(), PAIR).run(Window())
    report = await Replay(bench.streams, SystemClock(), PAIR).run(Window())
    assert (report.sent, report.copies) == (10, 10)


async def test_foreign_and_damaged_entries_are_left_out_and_counted(bench) -> None:
    """A handler could do nothing with them; they are dead letters already."""
    await a_year(bench, 3)
    await bench.streams.ensure_groups([PAIR])
    await bench.client.xadd(f"events:{EVENT}", {"foo": "bar"})
    other = Envelope(id="x", event="till_opened", source="caisse", time=datetime.now(UTC))
    await bench.client.xadd(f"events:{EVENT}", other.encode())
    many = {**envelope(9, 1.0).encode(), **{f"x{number}": b"" for number in range(4000)}}
    await bench.client.xadd(f"events:{EVENT}", many)
    report = await Replay(bench.streams, SystemClock(), PAIR).run(Window())
    assert (report.sent, report.unreadable) == (3, 3)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (lambda ids, at: Window(), range(10)),
        (lambda ids, at: Window(start=ids[3]), range(3, 10)),
        (lambda ids, at: Window(end=ids[3]), range(4)),
        (lambda ids, at: Window(start=ids[2], end=ids[2]), range(2, 3)),
        (lambda ids, at: Window(since=at[4]), range(4, 10)),
        (lambda ids, at: Window(until=at[4]), range(4)),
        (lambda ids, at: Window(since=at[2], until=at[7], start=ids[4]), range(4, 7)),
        (lambda ids, at: Window(since=at[9] + 1), range(0)),
    ],
)
async def test_window_by_ids_and_by_the_time_of_the_events(bench, window, expected) -> None:
    """Ids are included at both ends, `until` is not; a dry run counts the same and sends nothing."""
    ids = await a_year(bench, 10)
    at = [int(entry_id.partition("-")[0]) / 1000 for entry_id in ids]
    await bench.streams.ensure_groups([PAIR])
    asked = window(ids, at)
    counted = await Replay(bench.streams, SystemClock(), PAIR).count(asked)
    assert counted.sent == len(expected)
    assert await bench.client.xlen(f"events:{EVENT}") == 10
    assert not await bench.client.exists(f"replays:{{events:{EVENT}}}")
    report = await Replay(bench.streams, SystemClock(), PAIR).run(asked)
    assert report.sent == len(expected)
    copies = [Envelope.decode(fields) for _, fields in (await bench.client.xrange(f"events:{EVENT}"))[10:]]
    assert [copy.data["number"] for copy in copies] == list(expected)
    assert not await bench.client.exists(f"replays:{{events:{EVENT}}}")


async def test_events_of_the_outbox_are_found_by_when_they_happened(bench) -> None:
    """Their entries can be much younger."""
    happened = time.time() - 90 * DAY
    await bench.client.xadd(f"events:{EVENT}", envelope(1, happened).encode())
    await bench.client.xadd(f"events:{EVENT}", {"foo": "bar"})
    entries = History(bench.streams).entries(EVENT, Window(until=happened + 1.0))
    assert len([entry async for entry in entries]) == 1
    entries = History(bench.streams).entries(EVENT, Window(since=time.time() - 3600.0))
    assert [entry.fields async for entry in entries] == [{b"foo": b"bar"}]


async def test_copy_is_byte_for_byte_the_event_but_for_its_mark_and_its_group(bench) -> None:
    """Also of an event that was marked before: no field is there twice."""
    fields = [*(part for item in {**envelope(1, 1.0).encode(), "subject": b"\xc3\xa9"}.items() for part in item)]
    await bench.streams.ensure_groups([PAIR])
    await bench.client.execute_command("XADD", f"events:{EVENT}", "*", "replayed", "true", *fields)
    await Replay(bench.streams, SystemClock(), PAIR).run(Window())
    _, copy = await bench.client.eval("return redis.call('XRANGE', KEYS[1], '-', '+')", 1, f"events:{EVENT}")
    expected = [part if isinstance(part, bytes) else part.encode() for part in fields]
    assert copy[1] == [*expected, b"replayed", b"true", b"targetgroup", b"paheko"]


@pytest.mark.parametrize("end", ["+", last_id("99999999999999")], ids=["no end", "an end to come"])
async def test_what_is_emitted_while_a_replay_runs_is_not_part_of_it(bench, end) -> None:
    """Its end is where the stream ended when it began; else it would go on for ever, or deliver twice."""
    await a_year(bench, 520)  # more than a page
    paheko = Module()
    _, bus = await serving(bench, paheko=paheko)
    await bench.settled()
    emitted = 0

    class Emitting(Replay):
        async def _send(self, *args):
            nonlocal emitted
            await bus.emit("sale_closed", number=1000 + emitted)
            emitted += 1
            return await super()._send(*args)

    report = await Emitting(bench.streams, SystemClock(), PAIR, rate=1e6).run(Window(end=end))
    await bench.settled()
    assert emitted >= 1
    assert report.sent == 520
    assert sorted(seen[0] for seen in paheko.seen if seen[2]) == list(range(520))


class StoppedError(Exception):
    """What stops a replay in a test."""


class Broken:
    """The streams, which fail at the n-th operation of a name, before it or after it has happened."""

    def __init__(self, streams, name: str, at: int, *, after: bool) -> None:
        self.streams, self.name, self.left, self.after = streams, name, at, after

    def __getattr__(self, name: str):
        operation = getattr(self.streams, name)
        if name != self.name:
            return operation

        async def breaking(*args, **kwargs):
            self.left -= 1
            if self.left == 0 and not self.after:
                raise StoppedError
            reply = await operation(*args, **kwargs)
            if self.left == 0:
                raise StoppedError
            return reply

        return breaking


@pytest.mark.parametrize("after", [True, False], ids=["after the step", "before the step"])
@pytest.mark.parametrize(("operation", "at"), [("replay", 1), ("replay", 3), ("history", 2), ("end_replay", 1)])
async def test_interrupted_replay_goes_on_without_a_gap_and_sends_nothing_twice(bench, operation, at, after) -> None:
    """Wherever it dies, also with a reply lost: how far it came is kept with each step, in one script."""
    originals = await a_year(bench, 1200)
    await bench.streams.ensure_groups([PAIR])
    broken = Broken(bench.streams, operation, at, after=after)
    with pytest.raises(StoppedError):
        await Replay(broken, SystemClock(), PAIR).run(Window(start=originals[100]))
    if operation == "end_replay" and after:
        with pytest.raises(BusError, match="no replay"):
            await Replay(bench.streams, SystemClock(), PAIR).resume()
    else:
        with pytest.raises(BusError, match="runs, or was interrupted"):
            await Replay(bench.streams, SystemClock(), PAIR).run(Window())
        await Replay(bench.streams, SystemClock(), PAIR).resume()
    copies = [Envelope.decode(fields) for _, fields in (await bench.client.xrange(f"events:{EVENT}"))[1200:]]
    assert [copy.data["number"] for copy in copies] == list(range(100, 1200))
    assert all(copy.replayed for copy in copies)


async def test_times_that_were_asked_for_hold_after_an_interruption(bench) -> None:
    """They are kept with the replay."""
    ids = await a_year(bench, 300)
    at = [int(entry_id.partition("-")[0]) / 1000 for entry_id in ids]
    await bench.streams.ensure_groups([PAIR])
    broken = Broken(bench.streams, "replay", 2, after=True)
    with pytest.raises(StoppedError):
        await Replay(broken, SystemClock(), PAIR).run(Window(since=at[20], until=at[250]))
    [state] = (await bench.streams.events(EVENT))[0].replays.values()
    assert (state.group, state.since, state.until, state.end) == ("paheko", at[20], at[250], ids[-1])
    report = await Replay(bench.streams, SystemClock(), PAIR).resume()
    assert state.sent + report.sent == 230


async def test_nothing_that_an_interrupted_replay_has_not_seen_is_trimmed(bench) -> None:
    """However long nobody goes on with it; who holds the stream is told. Once it is given up, the rest may go."""
    originals = await a_year(bench, 300)
    await bench.streams.ensure_groups([PAIR])
    [entries] = await bench.streams.read("c", [(PAIR, 1000)])
    await bench.streams.ack("c", [(PAIR, tuple(entry.id for entry in entries))])
    with pytest.raises(StoppedError):
        await Replay(Broken(bench.streams, "replay", 1, after=True), SystemClock(), PAIR).run(Window())
    [copies] = await bench.streams.read("c", [(PAIR, 1000)])
    await bench.streams.ack("c", [(PAIR, tuple(entry.id for entry in copies))])
    found = await bench.streams.trim(EVENT, 10, exact=True)
    assert (found.trimmed, found.held_by, found.held_from) == (len(copies), "replay:paheko", originals[len(copies)])
    state = await Replay(bench.streams, SystemClock(), PAIR).abandon()
    assert (state.sent, state.position) == (len(copies), originals[len(copies) - 1])
    assert (await bench.streams.trim(EVENT, 10, exact=True)).length == 10
    with pytest.raises(BusError, match="no replay"):
        await Replay(bench.streams, SystemClock(), PAIR).abandon()


async def test_two_processes_that_resume_one_replay_send_everything_once(bench) -> None:
    """The one that comes too late for a step stops, and says so."""
    await a_year(bench, 1000)
    await bench.streams.ensure_groups([PAIR])
    with pytest.raises(StoppedError):
        await Replay(Broken(bench.streams, "replay", 1, after=True), SystemClock(), PAIR).run(Window())
    replays = [Replay(bench.streams, SystemClock(), PAIR, rate=1e5) for _ in range(3)]
    ends = await asyncio.gather(*(replay.resume() for replay in replays), return_exceptions=True)
    assert [str(end) for end in ends if isinstance(end, BaseException)]
    assert all("another process" in str(end) for end in ends if isinstance(end, BaseException))
    copies = [Envelope.decode(fields) for _, fields in (await bench.client.xrange(f"events:{EVENT}"))[1000:]]
    assert [copy.data["number"] for copy in copies] == list(range(1000))


async def test_replay_to_a_group_that_does_not_exist_is_refused_and_the_known_ones_are_named(bench) -> None:
    """A mistyped name would send copies to nobody."""
    await a_year(bench, 3)
    await bench.streams.ensure_groups([PAIR, (EVENT, "members")])
    for work in (Replay.run, Replay.count):
        with pytest.raises(BusError, match="no group 'pahko': it has: members, paheko"):
            await work(Replay(bench.streams, SystemClock(), (EVENT, "pahko")), Window())
        with pytest.raises(BusError, match="never_happened: the event has no group"):
            await work(Replay(bench.streams, SystemClock(), ("never_happened", "paheko")), Window())
    assert await bench.client.xlen(f"events:{EVENT}") == 3


async def test_rate_is_kept_by_the_hosts_clock(bench) -> None:
    """Thirty events at ten a second take three seconds, and no tenth of a second carries more than its share."""
    clock = bench.manual_clock()
    started = clock.now()
    await a_year(bench, 30)
    await bench.streams.ensure_groups([PAIR])
    steps: list[tuple[float, int]] = []
    replay = Replay(
        bench.streams, clock, PAIR, rate=10.0, progress=lambda told: steps.append((clock.now() - started, told.sent))
    )
    running = asyncio.create_task(replay.run(Window()))
    while not running.done():
        await bench.streams.ping()
        await asyncio.sleep(0)
        if clock._waiting:
            clock.advance(0.05)
    report = await running
    assert report.sent == 30
    assert clock.now() - started == pytest.approx(3.0, abs=0.11)
    assert all(sent <= at * 10.0 + 1.01 for at, sent in steps)


async def test_pace_without_a_rate_never_waits(bench) -> None:
    """And one of many events a second sends them in batches."""
    clock = bench.manual_clock()
    await Pace(clock, None).keep(10**9)
    assert (Pace(clock, None).batch, Pace(clock, 3.0).batch, Pace(clock, 200.0).batch) == (100, 1, 20)


async def test_replayed_event_that_dies_is_requeued_as_any_other(bench) -> None:
    """Its copy is an entry like others: attempts, dead letter and requeue are its group's alone."""
    failing = True
    paheko, members = Module(), Module()

    class Fails(Module):
        async def handle(self, number: int, meta: EventMeta) -> None:
            if meta.replayed and failing:
                raise ValueError("no")
            await super().handle(number, meta)

    paheko = Fails()
    await a_year(bench, 2)
    broker, _ = await serving(bench, paheko=paheko, members=members)
    await bench.settled()
    await Replay(bench.streams, SystemClock(), PAIR).run(Window())
    await bench.until(lambda: len(bench.journal.of("dead")) == 2)
    await bench.settled()
    await bench.streams.trim(EVENT, 2, exact=True)
    failing = False
    box: DeadLetters = broker.dead_letters
    for letter in await bench.letters():
        assert await box.requeue(letter)
    await bench.until(lambda: len(paheko.seen) == 4)
    await bench.settled()
    assert members.numbers == [0, 1]
    assert sorted(paheko.seen)[1::2] == [(0, "event-0", True), (1, "event-1", True)]


async def test_history_that_was_trimmed_while_it_was_read_is_an_error(bench) -> None:
    """An export with a hole would pass for whole."""
    originals = await a_year(bench, 1200)
    entries = History(bench.streams).entries(EVENT)
    for _ in range(500):
        await anext(entries)
    await bench.client.xtrim(f"events:{EVENT}", minid=originals[700], approximate=False)
    with pytest.raises(BusError, match=f"trimmed between {originals[499]} and {originals[700]}"):
        await anext(entries)


def test_ids_and_times_are_read_as_users_write_them() -> None:
    """Milliseconds alone are a whole millisecond; times without an offset are UTC; nonsense is an error."""
    assert (first_id("17"), last_id("17"), first_id("17-3"), last_id("17-3")) == (
        "17-0",
        "17-18446744073709551615",
        "17-3",
        "17-3",
    )
    assert moment("2026-03-01") == moment("2026-03-01T00:00:00Z") == moment("2026-03-01T01:00:00+01:00")
    for text in ("", "x", "-3", "1-2-3", "1-", "99999999999999999999999", "18446744073709551616", "١"):
        with pytest.raises(BusError, match="this is no entry id"):
            first_id(text)
    for text in ("", "yesterday", "2026-13-01"):
        with pytest.raises(BusError, match="this is no time"):
            moment(text)
