"""Retention: history is trimmed, and nothing that some group has not acked ever is."""

from __future__ import annotations

import asyncio
import random
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recyclic.core.clock import SystemClock
from recyclic.core.events.entries import DeadLetter, Verdict, as_number
from recyclic.core.events.event import Event
from recyclic.core.events.retention import Janitor
from recyclic.core.events.settings import BrokerSettings
from recyclic.core.events.standing import Begun, Retained
from recyclic.errors import BusError

pytestmark = pytest.mark.slow  # hundreds of generated histories

EVENT = "thing_done"
GROUPS = ("one", "two", "three")


class ThingDone(Event):
    """Something was done."""

    x: int


async def ids(bench) -> list[str]:
    return [entry_id.decode() for entry_id, _ in await bench.client.xrange(f"events:{EVENT}")]


async def test_acked_history_is_trimmed_to_its_length_and_not_below(bench) -> None:
    """`maxlen` entries stay, give or take one node of the stream."""
    await bench.streams.ensure_groups([(EVENT, "one")])
    for _ in range(2500):
        await bench.streams.append(EVENT, {"data": b"{}"})
    while True:
        [entries] = await bench.streams.read("c", [((EVENT, "one"), 500)])
        if not entries:
            break
        await bench.streams.ack("c", [((EVENT, "one"), tuple(entry.id for entry in entries))])
    before = await ids(bench)
    trimmed = (await bench.streams.trim(EVENT, 1000)).trimmed
    after = await ids(bench)
    assert after == before[trimmed:]
    assert 1000 <= len(after) <= 1000 + 200


async def test_history_of_a_stream_without_groups_is_trimmed(bench) -> None:
    """Nobody waits for it."""
    for _ in range(1500):
        await bench.streams.append(EVENT, {"data": b"{}"})
    assert (await bench.streams.trim(EVENT, 100)).trimmed > 0
    assert len(await ids(bench)) >= 100
    assert (await bench.streams.trim("never_happened", 100)).trimmed == 0


async def test_stopped_group_pins_the_stream_and_that_is_reported(bench, log) -> None:
    """A group that nobody runs any more is known to Redis still; the janitor warns instead of cutting."""
    seen = []

    async def handler(x: int) -> None:
        seen.append(x)

    broker = await bench.serving((EVENT, handler), maxlen=10, hard_limit=100)
    await bench.streams.ensure_groups([(EVENT, "disabled")])
    bus = broker.scoped("caisse", emits=[ThingDone])
    await asyncio.gather(*(bus.emit(ThingDone(x=number)) for number in range(300)))
    await bench.settled((EVENT, "paheko"))
    janitor = Janitor(bench.streams, broker.clock, broker.settings, lambda: [EVENT])
    assert await janitor.sweep() == 0
    assert len(await ids(bench)) == 300
    assert "longer than its hard limit" in log


async def test_janitor_tells_who_holds_a_stream_once_and_when_it_is_short_again(bench, log) -> None:
    """What it found stands to be read, for health and metrics; the log is not filled with the same every minute."""
    await bench.streams.ensure_groups([(EVENT, "one"), (EVENT, "disabled")])
    first, *_ = [await bench.streams.append(EVENT, {"data": b"{}"}) for _ in range(30)]
    await read_and_ack(bench, "one")
    clock = SystemClock()
    janitor = Janitor(bench.streams, clock, BrokerSettings(maxlen=10, hard_limit=20), lambda: [EVENT])
    assert (janitor.swept_at, janitor.over_limit, janitor.held_for(EVENT)) == (None, [], 0.0)
    for _ in range(2):
        assert await janitor.sweep() == 0
    [found] = janitor.over_limit
    assert (found.event, found.length, found.held_by, found.held_from) == (EVENT, 30, "disabled", first)
    assert janitor.found == {EVENT: found}
    assert 0.0 <= janitor.held_for(EVENT) < 60.0
    [told] = [record for record in log.records if "longer than its hard limit" in record["event"]]
    assert (told["held_by"], told["length"], told["held_from"]) == ("disabled", 30, first)
    assert "forget" in told["remedy"]
    assert await bench.streams.forget((EVENT, "disabled"))
    await bench.streams.trim(EVENT, 10, exact=True)
    assert await janitor.sweep() == 0
    assert (janitor.over_limit, janitor.found[EVENT].held_by, janitor.held_for(EVENT)) == ([], None, 0.0)
    assert "below its hard limit again" in log


async def test_history_over_the_limit_is_told_as_what_the_settings_keep(bench, log) -> None:
    """Nobody is to blame for it, and no group can be forgotten."""
    for _ in range(30):
        await bench.streams.append(EVENT, {"data": b"{}"})
    settings = BrokerSettings(maxlen=10, hard_limit=20, retain_days=1.0)
    await Janitor(bench.streams, SystemClock(), settings, lambda: [EVENT]).sweep()
    assert "it is history that maxlen or retain_days keep" in log


async def test_stream_that_cannot_be_trimmed_does_not_keep_the_others_from_it(bench, log) -> None:
    """Somebody else's key of that name is a trouble of its own."""
    await bench.client.set("events:alien", "x")
    for _ in range(300):
        await bench.streams.append(EVENT, {"data": b"{}"})
    janitor = Janitor(bench.streams, SystemClock(), BrokerSettings(maxlen=10), lambda: ["alien", EVENT])
    assert await janitor.sweep() >= 100
    assert janitor.found.keys() == {EVENT}
    assert "could not trim a stream" in log
    many = Janitor(bench.streams, SystemClock(), BrokerSettings(), lambda: ["alien"] * 3)
    with pytest.raises(BusError, match="WRONGTYPE"):
        await many.sweep()


async def test_one_sweep_trims_a_long_stream_whatever_its_nodes_hold(bench) -> None:
    """One XTRIM ends after about ten thousand, and a server may be set to keep thousands in a node."""
    if bench.backend == "fake":
        pytest.skip("an in-process fake has no nodes")
    for size in (100, 5000):
        await bench.client.config_set("stream-node-max-entries", size)
        await bench.client.config_set("stream-node-max-bytes", 0)
        await bench.client.delete(f"events:{EVENT}")
        try:
            await append_many(bench, 25_000)
        finally:
            await bench.client.config_set("stream-node-max-entries", 100)
            await bench.client.config_set("stream-node-max-bytes", 4096)
        found = await bench.streams.trim(EVENT, 1000)
        assert 1000 <= found.length <= 1000 + size
        assert found.trimmed == 25_000 - found.length


async def test_history_younger_than_its_time_stays_beyond_its_length(bench) -> None:
    """By the host's clock and by the server's: one that runs ahead throws nothing away."""
    now, day = int(time.time()), 86_400
    for age in range(20, 0, -1):
        await bench.client.xadd(f"events:{EVENT}", {"data": "{}"}, id=f"{(now - age * day) * 1000}-0")
    ahead = {"now": now + 1000.0 * day, "exact": True}
    assert (await bench.streams.trim(EVENT, 5, retain=30.0 * day, **ahead)).trimmed == 0
    assert (await bench.streams.trim(EVENT, 5, retain=12.5 * day, **ahead)).length == 12
    behind = {"now": now - 8.0 * day, "exact": True}
    assert (await bench.streams.trim(EVENT, 5, retain=1.5 * day, **behind)).length == 9
    assert (await bench.streams.trim(EVENT, 5, retain=1.5 * day, now=float(now), exact=True)).length == 5


async def test_janitor_keeps_the_days_that_the_settings_say(bench) -> None:
    """`retain_days` reaches the streams as seconds of the host's clock."""
    now, day = int(time.time()), 86_400
    for age in range(20, 0, -1):
        await bench.client.xadd(f"events:{EVENT}", {"data": "{}"}, id=f"{(now - age * day) * 1000}-0")
    exact = Exact(bench.streams)
    await Janitor(exact, SystemClock(), BrokerSettings(maxlen=1, retain_days=7.5), lambda: [EVENT]).sweep()
    assert len(await ids(bench)) == 7


class Exact:
    """The streams, trimmed exactly: without the leniency of whole nodes."""

    def __init__(self, streams) -> None:
        self.streams = streams

    async def trim(self, event, maxlen, **options):
        return await self.streams.trim(event, maxlen, **options, exact=True)


async def test_copies_for_one_group_never_push_history_out_and_go_once_all_have_acked_them(bench) -> None:
    """However many are replayed: they are no history."""
    await bench.streams.ensure_groups([(EVENT, "one"), (EVENT, "slow")])
    originals = [await bench.streams.append(EVENT, {"data": b"{}"}) for _ in range(10)]
    await read_and_ack(bench, "one")
    await read_and_ack(bench, "slow")
    assert await bench.streams.send_copies((EVENT, "one"), [{b"data": b"{}"}] * 25) == 25
    assert await bench.streams.send_copies((EVENT, "nobody"), [{b"data": b"{}"}]) == 0
    await read_and_ack(bench, "one")
    found = await bench.streams.trim(EVENT, 10, exact=True)
    assert (found.trimmed, found.length, found.copies, found.held_by) == (0, 35, 25, "slow")
    await read_and_ack(bench, "slow", leave=5)
    found = await bench.streams.trim(EVENT, 10, exact=True)
    assert (found.length, found.copies) == (15, 5)
    await read_and_ack(bench, "slow")
    assert (await bench.streams.trim(EVENT, 10, exact=True)).copies == 0
    assert await ids(bench) == originals
    assert not await bench.client.exists(f"copies:{{events:{EVENT}}}")


async def read_and_ack(bench, group: str, leave: int = 0) -> None:
    """Handle what the group has not, but for the last few."""
    found = []
    while page := (await bench.streams.read("c", [((EVENT, group), 500)]))[0]:
        found += page
    pending = (await bench.streams.snapshot([(EVENT, group)])).groups[(EVENT, group)].pending
    entry_ids = [entry.entry_id for entry in pending]
    chosen = tuple(entry_ids[: len(entry_ids) - leave])
    if chosen:
        await bench.streams.ack("c", [((EVENT, group), chosen)])


async def append_many(bench, count: int) -> None:
    pipe = bench.client.pipeline(transaction=False)
    for _ in range(count):
        pipe.xadd(f"events:{EVENT}", {"data": "{}"})
    await pipe.execute()


async def test_janitor_sweeps_by_itself(bench) -> None:
    """Once a minute of the host's clock, and it outlives an error."""
    clock = bench.manual_clock()
    swept = []

    class Streams:
        async def trim(self, event, maxlen, *, retain, now):
            swept.append((event, maxlen))
            if len(swept) == 1:
                raise OSError("away")
            return Retained(event, 0, 0, 0, None, None)

    janitor = Janitor(Streams(), clock, BrokerSettings(janitor=60.0, maxlen=7), lambda: [EVENT])
    task = asyncio.create_task(janitor.run())
    while len(swept) < 3:
        await asyncio.sleep(0)
        clock.advance(60.0)
    task.cancel()
    assert swept[:3] == [(EVENT, 7)] * 3


some = st.sets(st.sampled_from(GROUPS), min_size=1).map(sorted)
one = st.sampled_from(GROUPS)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("emit"), st.integers(1, 20)),
        st.tuples(st.just("read"), st.one_of(some, st.just(list(GROUPS))), st.integers(1, 60)),
        st.tuples(st.just("ack"), some, st.integers(1, 60), st.randoms(use_true_random=False)),
        st.tuples(st.just("retry"), some),
        st.tuples(st.just("bury"), one),
        st.tuples(st.just("requeue"), one),
        st.tuples(st.just("stop"), one),
        st.tuples(st.just("create"), one),
        st.tuples(st.just("forget"), one),
        st.tuples(st.just("delete"), st.integers(0, 60)),
        st.tuples(st.just("replay"), one, st.integers(1, 10)),
        st.tuples(st.just("copy"), one, st.integers(1, 5)),
        st.tuples(st.just("wait"), st.integers(1, 200)),
        st.tuples(st.just("trim"), st.integers(0, 20), st.sampled_from((0, 50, 300))),
    ),
    max_size=30,
)
everything = [("emit", 10), ("read", list(GROUPS), 10)]
partly = [*everything, ("ack", ["one", "two"], 60, random.Random(1)), ("retry", ["three"])]
acked = [*everything, ("ack", list(GROUPS), 60, random.Random(1))]
beginning = 1_700_000_000
"""When the story begins, in seconds: the time of an entry is the story's, and long past for the server."""


class Model:
    """What each group has not read, and has not acked, beside the stream that it is compared with.

    `deleted` is what somebody deleted by hand. A stopped group reads no more.
    """

    def __init__(self, bench, exact: bool) -> None:
        self.bench, self.streams, self.exact = bench, bench.streams, exact
        self.now, self.count = beginning, 0
        self.unread: dict[str, list[str]] = {}
        self.pending: dict[str, list[str]] = {}
        self.letters: dict[str, list[str]] = {}
        self.stopped: set[str] = set()
        self.present: list[str] = []
        self.copies: set[str] = set()
        self.deleted: set[str] = set()
        self.replays: dict[str, str] = {}

    async def emit(self, count: int) -> None:
        for _ in range(count):
            self.count += 1
            await self.bench.client.xadd(f"events:{EVENT}", {"n": "1"}, id=f"{self.now * 1000}-{self.count}")
            self.written(f"{self.now * 1000}-{self.count}")

    def written(self, entry_id: str) -> None:
        self.present.append(entry_id)
        for unread in self.unread.values():
            unread.append(entry_id)

    async def read(self, groups: list[str], count: int) -> None:
        for group in set(groups) & self.unread.keys() - self.stopped:
            [entries] = await self.streams.read("c", [((EVENT, group), count)])
            assert [entry.id for entry in entries] == self.unread[group][:count]
            self.pending[group] += self.unread[group][:count]
            del self.unread[group][:count]

    async def ack(self, groups: list[str], count: int, chance: random.Random) -> None:
        for group in sorted(set(groups) & self.unread.keys() - self.stopped):
            chosen = chance.sample(self.pending[group], min(count, len(self.pending[group])))
            await self.streams.ack("c", [((EVENT, group), tuple(chosen))])
            self.pending[group] = [entry_id for entry_id in self.pending[group] if entry_id not in chosen]

    async def retry(self, groups: list[str]) -> None:
        later = {"due": 9e9, "attempt": 1, "error": "", "now": 0.0}
        for group in set(groups) & self.unread.keys():
            for entry_id in self.pending[group][:1]:
                await self.streams.schedule_retry((EVENT, group), "c", entry_id, **later)

    async def bury(self, group: str) -> None:
        for entry_id in self.pending.get(group, [])[:1]:
            letter = DeadLetter(
                event=EVENT, group=group, entry_id=entry_id, reason="x", attempts=1, dead_at=1.0, fields={b"n": b"1"}
            )
            if await self.streams.dead_letter((EVENT, group), "c", letter) is Verdict.DONE:
                self.pending[group].remove(entry_id)
                self.letters[group].append(entry_id)

    async def requeue(self, group: str) -> None:
        for entry_id in self.letters.get(group, [])[:1]:
            [letter] = await self.streams.dead_letters((EVENT, group), limit=1)
            assert letter.entry_id == entry_id
            assert await self.streams.requeue((EVENT, group), letter.id, 9e9)
            del self.letters[group][0]
            if entry_id in await ids(self.bench):
                self.pending[group].append(entry_id)
            else:
                self.copied((await ids(self.bench))[-1])

    async def stop(self, group: str) -> None:
        self.stopped ^= {group}

    async def create(self, group: str) -> None:
        if await self.streams.ensure_groups([(EVENT, group)]):
            self.unread[group] = await ids(self.bench)
            self.pending[group], self.letters[group] = [], []

    async def forget(self, group: str) -> None:
        assert await self.streams.forget((EVENT, group)) == (group in self.unread)
        for held in (self.unread, self.pending, self.letters, self.replays):
            held.pop(group, None)

    async def delete(self, which: int) -> None:
        """Somebody deletes an entry by hand; whoever waits for it is told, elsewhere."""
        if which < len(self.present):
            entry_id = self.present[which]
            await self.bench.client.xdel(f"events:{EVENT}", entry_id)
            self.present.remove(entry_id)
            self.deleted.add(entry_id)
            for unread in self.unread.values():
                if entry_id in unread:
                    unread.remove(entry_id)

    async def replay(self, group: str, count: int) -> None:
        """Begin a replay, or go on with it; it ends when it has seen what there was when it began."""
        pair = (EVENT, group)
        if group not in self.replays:
            if await self.streams.begin_replay(pair, "0-0", "+", {}) is not Begun.BEGUN:
                assert group not in self.unread
                return
            self.replays[group] = "0-0"
        [state] = [replay for replay in await self.states() if replay.group == group]
        assert state.position == self.replays[group]
        _, page = await self.streams.history(EVENT, f"({state.position}", state.end, count)
        if not page:
            await self.streams.end_replay(pair)
            del self.replays[group]
            return
        wanted = [entry.id for entry in page if entry.id not in self.copies]
        assert await self.streams.replay(pair, state.position, page[-1].id, wanted) == len(wanted)
        assert await self.streams.replay(pair, "1-1", page[-1].id, wanted) is None
        self.replays[group] = page[-1].id
        for entry_id in (await ids(self.bench))[-len(wanted) :] if wanted else []:
            self.copied(entry_id)

    async def states(self):
        return [replay for state in await self.streams.events(EVENT) for replay in state.replays.values()]

    async def copy(self, group: str, count: int) -> None:
        sent = await self.streams.send_copies((EVENT, group), [{b"n": b"1"}] * count)
        assert sent == (count if group in self.unread else 0)
        for entry_id in (await ids(self.bench))[-sent:] if sent else []:
            self.copied(entry_id)

    def copied(self, entry_id: str) -> None:
        self.copies.add(entry_id)
        self.count = max(self.count, as_number(entry_id)[1])
        self.now = max(self.now, as_number(entry_id)[0] // 1000 + 1)
        self.written(entry_id)

    async def wait(self, seconds: int) -> None:
        """Let time pass in the story; a copy has the server's time, and from there on the story has it too."""
        if not self.copies:
            self.now += seconds

    async def trim(self, maxlen: int, retain: int) -> None:
        """Trim, and see what went; the newest entry of history stays even with a length of 0."""
        before = self.present
        found = await self.streams.trim(EVENT, maxlen, retain=float(retain), now=float(self.now), exact=self.exact)
        self.present = await ids(self.bench)
        gone = [entry_id for entry_id in before if entry_id not in self.present]
        history = [entry_id for entry_id in before if entry_id not in self.copies]
        assert not set(history[-maxlen:] if maxlen else []) & set(gone), "history within maxlen"
        young = {entry_id for entry_id in history if as_number(entry_id)[0] >= (self.now - retain) * 1000}
        assert not (young & set(gone) if retain else set()), "history younger than the time to retain"
        unseen = {x for at in self.replays.values() for x in history if as_number(x) > as_number(at)}
        assert not unseen & set(gone), "history that a replay has not seen"
        if self.exact and not self.waited_for() and not self.replays:
            expected = [x for x in history if x in history[-max(1, maxlen) :] or (retain and x in young)]
            assert self.present == expected, "all the rest is trimmed, and no copy is left"
            assert (found.held_by, found.copies, found.length) == (None, 0, len(expected))

    def waited_for(self) -> set[str]:
        """Return what some group has not read or not acked."""
        return {x for held in (self.unread, self.pending) for entry_ids in held.values() for x in entry_ids}

    async def check(self) -> None:
        """Nothing that is waited for is gone, but what somebody deleted by hand."""
        present = await ids(self.bench)
        assert present == self.present
        assert self.waited_for() - self.deleted <= set(present)
        for group, unread in self.unread.items():
            state = (await self.streams.snapshot([(EVENT, group)])).groups[(EVENT, group)]
            assert {pending.entry_id for pending in state.pending} == set(self.pending[group])
            after = [x for x in present if as_number(x) > as_number(state.last_delivered)]
            assert after == unread, group


@pytest.mark.parametrize("backend", ["fake", "redis"], indirect=True)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, exact=st.booleans())
@example(steps=[*everything, ("trim", 0, 0)], exact=True)
@example(steps=[*partly, ("trim", 0, 0)], exact=True)
@example(steps=[*acked, ("trim", 3, 0)], exact=True)
@example(steps=[*acked, ("wait", 40), ("trim", 0, 50), ("wait", 100), ("trim", 0, 50)], exact=True)
@example(
    steps=[("emit", 12), ("read", list(GROUPS), 8), ("ack", list(GROUPS), 60, random.Random(1)), ("trim", 1, 0)],
    exact=True,
)
@example(steps=[("stop", "two"), *acked, ("trim", 0, 0), ("forget", "two"), ("trim", 0, 0)], exact=True)
@example(steps=[*acked, ("replay", "one", 4), ("trim", 0, 0), ("replay", "one", 4), ("trim", 0, 0)], exact=True)
@example(steps=[*acked, ("copy", "one", 3), ("trim", 5, 0), ("read", list(GROUPS), 60)], exact=True)
@example(
    steps=[
        *everything,
        ("bury", "one"),
        ("ack", list(GROUPS), 60, random.Random(1)),
        ("trim", 0, 0),
        ("requeue", "one"),
        ("trim", 0, 0),
    ],
    exact=True,
)
@example(steps=[*everything, ("delete", 0), ("delete", 4), ("trim", 0, 0)], exact=True)
async def test_nothing_unacked_is_ever_trimmed(bench, steps, exact) -> None:
    """For random emits, reads, acks, stops, groups that come and are forgotten, replays, deletions and trims.

    What a group has not acked it can still get; `maxlen` and `retain` are kept; and when nobody waits, the rest goes.
    """
    await bench.client.flushall()
    model = Model(bench, exact)
    for group in GROUPS:
        await model.create(group)
    for step, *arguments in steps:
        await getattr(model, step)(*arguments)
        if step == "trim":
            await model.check()
    await model.check()
