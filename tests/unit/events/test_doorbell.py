"""Reads that wait behind the doorbell: one round trip for an event, and nothing taken twice, lost or kept back."""

from __future__ import annotations

import asyncio

import pytest

from recyclic.core.events import multiplexed, streams
from recyclic.core.events.doorbell import BEHIND
from recyclic.core.events.event import Event

pytestmark = pytest.mark.slow  # a server of each kind; over TLS as a user with the documented rights

PAIR = ("sale_closed", "paheko")
NEVER = 600.0
"""Seconds that a wait may block: whatever ends sooner was not ended by the clock."""


class SaleClosed(Event):
    """A till was closed."""

    session_id: str


class MemberCreated(Event):
    """Somebody joined."""

    session_id: str


@pytest.fixture(params=["redis", "valkey", "tls"])
def backend(request) -> str:
    return request.param


@pytest.fixture
def patient(monkeypatch) -> None:
    """Let the doorbell block so long that nothing of a test can wait for the end of it."""
    monkeypatch.setattr(streams, "BLOCK", NEVER)
    monkeypatch.setattr(multiplexed, "BLOCK", NEVER)


def collector(seen: list[str]):
    async def handler(session_id: str) -> None:
        seen.append(session_id)

    return handler


async def listening(bench, broker) -> None:
    """Wait until the reads of every lane wait behind the doorbell."""
    await bench.until(lambda: broker._consumer is not None and all(lane.listening for lane in broker._consumer.lanes))


def counting(bench, monkeypatch) -> list[str]:
    """Return the operations of the port, as they are called from now on."""
    calls: list[str] = []
    for name in ("read", "mine", "tails", "news"):
        operation = getattr(bench.streams, name)

        def call(*args, _name=name, _operation=operation, **options):
            calls.append(_name)
            return _operation(*args, **options)

        monkeypatch.setattr(bench.streams, name, call)
    return calls


async def test_event_comes_with_the_news_of_it(bench, patient, monkeypatch) -> None:
    """No request stands between the ring and the handler, nor between one ring and the next."""
    seen: list[str] = []
    broker = await bench.serving(("sale_closed", collector(seen)), poll=NEVER)
    bus = broker.scoped("caisse", emits=[SaleClosed])
    await listening(bench, broker)
    calls = counting(bench, monkeypatch)
    for number in range(5):
        await bus.emit("sale_closed", session_id=str(number))
        await bench.until(lambda number=number: len(seen) > number)
        await listening(bench, broker)
    assert seen == list("01234")
    assert calls == ["news"] * 5


async def test_burst_is_read_on_by_the_intake(bench, patient) -> None:
    """More than a window at once: the doorbell brings the first, the rest is read while handlers run."""
    seen: list[str] = []
    broker = await bench.serving(("sale_closed", collector(seen)), poll=NEVER, concurrency=1, prefetch=4)
    bus = broker.scoped("caisse", emits=[SaleClosed])
    await listening(bench, broker)
    await asyncio.gather(*(bus.emit("sale_closed", session_id=str(number)) for number in range(100)))
    await bench.until(lambda: len(seen) == 100)
    await bench.settled()
    assert sorted(seen, key=int) == [str(number) for number in range(100)]


async def test_drain_calls_the_reads_back_and_keeps_nothing(bench, patient) -> None:
    """While events come in at every moment: what a read still brings is handed back, whole, and at once."""
    seen: list[str] = []
    first = await bench.serving(("sale_closed", collector(seen)), poll=NEVER)
    bus = first.scoped("caisse", emits=[SaleClosed])
    emitted = 0
    for _ in range(20):
        await listening(bench, first)
        emits = [asyncio.create_task(bus.emit("sale_closed", session_id=str(emitted + number))) for number in range(8)]
        emitted += 8
        await asyncio.sleep(0)
        await first.drain()
        state = (await first.snapshot()).groups[PAIR]
        assert not [pending for pending in state.pending if pending.due is None], "held by a consumer that has left"
        await asyncio.gather(*emits)
        first.consume()
    await bench.until(lambda: len(seen) == emitted)
    await bench.settled()
    assert sorted(seen, key=int) == [str(number) for number in range(emitted)]


async def test_drain_without_the_right_to_call_back_waits_for_the_read(bench, monkeypatch) -> None:
    """The wait ends by its time; nothing stays behind."""
    monkeypatch.setattr(streams, "BLOCK", 0.05)
    seen: list[str] = []
    broker = await bench.serving(("sale_closed", collector(seen)))
    await listening(bench, broker)
    monkeypatch.setattr(bench.streams._wire._waiting, "client_id", 0)
    await broker.drain()
    assert not broker.tasks - broker._standing
    await broker.scoped("caisse", emits=[SaleClosed]).emit("sale_closed", session_id="a")
    state = (await broker.snapshot()).groups[PAIR]
    assert state.unread
    assert not state.pending


async def test_paused_module_handles_nothing_that_a_read_still_brings(bench, patient) -> None:
    """It counts as idle, whatever it has in hand; and goes on where it stood."""
    seen: list[str] = []
    broker = await bench.serving(("sale_closed", collector(seen)), poll=NEVER)
    bus = broker.scoped("caisse", emits=[SaleClosed])
    for number in range(20):
        await listening(bench, broker)
        broker.pause("paheko")
        await bus.emit("sale_closed", session_id=str(number))
        await bench.until(lambda: broker.busy == 0)
        assert len(seen) == number
        broker.resume("paheko")
        await bench.until(lambda number=number: len(seen) > number)
    await bench.settled()
    assert len(bench.journal.of("handled")) == 20


async def test_own_pending_list_is_not_read_beside_a_read_that_waits(bench, patient) -> None:
    """Whoever doubts calls the read back first: an entry that it brings is not taken from the list as well."""
    seen: list[str] = []
    broker = await bench.serving(("sale_closed", collector(seen)), poll=NEVER)
    bus = broker.scoped("caisse", emits=[SaleClosed])
    for number in range(50):
        await listening(bench, broker)
        emit = asyncio.create_task(bus.emit("sale_closed", session_id=str(number)))
        for _ in range(number % 5):
            await asyncio.sleep(0)
        broker._consumer._doubt()
        await emit
        await bench.until(lambda number=number: len(seen) > number)
        await bench.settled()
    assert seen == [str(number) for number in range(50)]


async def test_more_groups_than_wait_are_read_when_they_are_told(bench, patient) -> None:
    """One stream with more groups than are read behind the wait; each gets each event once."""
    seen: dict[str, list[str]] = {f"module_{number}": [] for number in range(BEHIND + 1)}
    broker = bench.broker(poll=NEVER)
    bus = broker.scoped("caisse", emits=[SaleClosed, MemberCreated])
    for module, sessions in seen.items():
        broker.scoped(module).on("sale_closed", collector(sessions))
    members: list[str] = []
    broker.scoped("members").on("member_created", collector(members))
    await broker.start()
    broker.consume()
    await bench.until(lambda: [lane for lane in broker._consumer.lanes if lane.listening])
    for number in range(3):
        await bus.emit("sale_closed", session_id=str(number))
        await bus.emit("member_created", session_id=str(number))
        await bench.until(lambda number=number: all(len(sessions) > number for sessions in (*seen.values(), members)))
    assert not any(lane.listening for lane in broker._consumer.lanes if lane.subscription.event == "sale_closed")
    await bench.settled()
    assert [*seen.values(), members] == [["0", "1", "2"]] * (BEHIND + 2)
