"""What reaches whom, on every Redis: typed, once, acked after the handler."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime

import pytest

from recyclic.core.events.context import caused_by, current_cause
from recyclic.core.events.event import Event, EventMeta
from recyclic.errors import EventError


class SaleClosed(Event):
    """A till was closed."""

    session_id: str
    total_cents: int = 0


class MemberCreated(Event):
    """Somebody joined."""

    member_id: str


PAIR = ("sale_closed", "paheko")


async def test_event_reaches_its_handler_typed(bench) -> None:
    """Values arrive as the handler annotates them, with the envelope where it asks for it."""

    class DayClosed(Event):
        """A day is over."""

        business_date: date
        closed_at: datetime
        payments: dict[str, int]

    seen = []

    async def handler(business_date: date, payments: dict[str, int], meta: EventMeta, **data: object) -> None:
        seen.append((business_date, payments, meta, data))

    broker = bench.broker()
    bus = broker.scoped("caisse", emits=[DayClosed])
    broker.scoped("paheko").on(DayClosed, handler)
    await broker.start()
    broker.consume()
    closed_at = datetime(2025, 9, 17, 16, 5, tzinfo=UTC)
    event_id = await bus.emit("day_closed", business_date="2025-09-17", closed_at=closed_at, payments={"cash": 1800})
    await bench.settled()
    [(business_date, payments, meta, data)] = seen
    assert business_date == date(2025, 9, 17)
    assert payments == {"cash": 1800}
    assert (meta.id, meta.event, meta.source, meta.attempt, meta.version) == (event_id, "day_closed", "caisse", 1, 1)
    assert data == {"closed_at": "2025-09-17T16:05:00Z"}


async def test_each_module_gets_every_event(bench) -> None:
    """A group per module: one module's reading takes nothing from another."""
    seen: dict[str, list[str]] = {"paheko": [], "barcodes": []}
    broker = bench.broker()
    bus = broker.scoped("caisse", emits=[SaleClosed])
    for module, sessions in seen.items():
        broker.scoped(module).on("sale_closed", _collector(sessions))
    await broker.start()
    broker.consume()
    for number in range(20):
        await bus.emit("sale_closed", session_id=str(number))
    await bench.settled()
    expected = [str(number) for number in range(20)]
    assert sorted(seen["paheko"], key=int) == expected
    assert sorted(seen["barcodes"], key=int) == expected


def _collector(sessions: list[str]):
    async def handler(session_id: str) -> None:
        sessions.append(session_id)

    return handler


async def test_failure_of_one_handler_never_reruns_another(bench) -> None:
    """Named handlers have groups of their own."""
    seen = []

    async def fails(**data: object) -> None:
        raise ValueError("no")

    broker = bench.broker(max_attempts=3)
    bus = broker.scoped("caisse", emits=[SaleClosed])
    paheko = broker.scoped("paheko", group="paheko_sync")
    paheko.on("sale_closed", fails)
    paheko.on("sale_closed", _collector(seen), name="stats")
    assert [subscription.group for subscription in broker.subscriptions] == ["paheko_sync", "paheko_sync.stats"]
    await broker.start()
    broker.consume()
    await bus.emit(SaleClosed(session_id="a"))
    await bench.settled()
    assert seen == ["a"]
    assert len(bench.journal.of("failed")) == 3


async def test_entry_is_pending_until_its_handler_returns(bench) -> None:
    """The ack comes after the handler, never before."""
    release, inside = asyncio.Event(), asyncio.Event()

    async def handler(**data: object) -> None:
        inside.set()
        await release.wait()

    broker = await bench.serving(("sale_closed", handler))
    await broker.scoped("caisse", emits=[SaleClosed]).emit(SaleClosed(session_id="a"))
    await inside.wait()
    state = (await broker.snapshot()).groups[PAIR]
    assert [(pending.consumer, pending.attempts, pending.due) for pending in state.pending] == [
        (broker.consumer, 0, None)
    ]
    assert not bench.journal.of("settled")
    release.set()
    await bench.settled()
    await bench.until(lambda: bench.journal.of("settled"))
    assert not broker.busy


async def test_events_emitted_before_the_module_was_enabled_reach_it(bench) -> None:
    """A new group starts at the first retained entry."""
    emitter = bench.broker()
    bus = emitter.scoped("caisse", emits=[SaleClosed])
    for session in "abc":
        await bus.emit("sale_closed", session_id=session)
    seen: list[str] = []
    await bench.serving(("sale_closed", _collector(seen)))
    await bench.until(lambda: len(seen) == 3)
    assert seen == ["a", "b", "c"]


async def test_observers_hear_the_life_of_an_event_in_order(bench) -> None:
    """Emitted, delivered, handled, settled: also where the delivery overtakes the reply to the append."""
    broker = await bench.serving(("sale_closed", _collector([])))
    bus = broker.scoped("caisse", emits=[SaleClosed])
    for _ in range(50):
        bench.journal.calls.clear()
        await bus.emit("sale_closed", session_id="a")
        await bench.until(lambda: bench.journal.of("settled"))
        assert [call[0] for call in bench.journal.calls] == ["emitted", "delivered", "handled", "settled"]


async def test_event_of_a_handler_names_its_cause(bench) -> None:
    """Correlation runs through the whole chain; causation names the event that was handled."""
    metas: list[EventMeta] = []
    broker = bench.broker()
    caisse = broker.scoped("caisse", emits=[SaleClosed])
    paheko = broker.scoped("paheko", emits=[MemberCreated])

    async def first(meta: EventMeta) -> None:
        metas.append(meta)
        await paheko.emit("member_created", member_id="m")

    async def second(meta: EventMeta) -> None:
        metas.append(meta)

    paheko.on("sale_closed", first)
    paheko.on("member_created", second)
    await broker.start()
    broker.consume()
    with caused_by("request-1", "request-1"):
        sale = await caisse.emit(SaleClosed(session_id="a"))
    assert current_cause() == (None, None)
    await bench.until(lambda: len(metas) == 2)
    assert (metas[0].correlation_id, metas[0].causation_id) == ("request-1", "request-1")
    assert (metas[1].correlation_id, metas[1].causation_id) == ("request-1", sale)


async def test_two_processes_share_the_work(bench) -> None:
    """Every event is handled once, by one of them."""
    first: list[str] = []
    second: list[str] = []
    broker = await bench.serving(("sale_closed", _collector(first)), prefetch=2)
    await bench.serving(("sale_closed", _collector(second)), prefetch=2)
    bus = broker.scoped("caisse", emits=[SaleClosed])
    await asyncio.gather(*(bus.emit("sale_closed", session_id=str(number)) for number in range(200)))
    await bench.settled()
    assert sorted(first + second, key=int) == [str(number) for number in range(200)]


async def test_paused_module_reads_nothing_and_others_go_on(bench) -> None:
    """What is emitted meanwhile waits in the stream."""
    seen: dict[str, list[str]] = {"paheko": [], "barcodes": []}
    broker = bench.broker()
    bus = broker.scoped("caisse", emits=[SaleClosed])
    for module, sessions in seen.items():
        broker.scoped(module).on("sale_closed", _collector(sessions))
    await broker.start()
    broker.consume()
    broker.pause("paheko")
    await bus.emit("sale_closed", session_id="a")
    await bench.settled(("sale_closed", "barcodes"))
    assert seen == {"paheko": [], "barcodes": ["a"]}
    assert (await broker.snapshot()).groups[PAIR].unread
    broker.resume("paheko")
    await bench.settled()
    assert seen == {"paheko": ["a"], "barcodes": ["a"]}


async def test_middleware_wraps_each_call(bench) -> None:
    """It sees the delivery, and decides whether and how the handler runs."""
    seen: list[str] = []
    deliveries = []

    async def around(delivery, call):
        deliveries.append((delivery.module, delivery.group, delivery.attempt, delivery.redelivered))
        if delivery.attempt == 1:
            raise RuntimeError("planted")
        await call()

    broker = await bench.serving(("sale_closed", _collector(seen)), around=around)
    await broker.scoped("caisse", emits=[SaleClosed]).emit("sale_closed", session_id="a")
    await bench.until(lambda: seen)
    await bench.settled()
    assert deliveries == [("paheko", "paheko", 1, False), ("paheko", "paheko", 2, True)]


@pytest.mark.parametrize(
    ("emit", "says"),
    [
        (lambda bus: bus.emit("sale_lost", session_id="a"), "does not declare"),
        (lambda bus: bus.emit("sale_closed", sesion_id="a"), "session_id: Field required"),
        (lambda bus: bus.emit("sale_closed", session_id="a", total_cents="many"), "total_cents"),
        (lambda bus: bus.emit("sale_closed", session_id="a", surprise=1), "surprise"),
        (lambda bus: bus.emit("sale_closed", session_id="a", total_cents=2**70), "64-bit"),
        (lambda bus: bus.emit("sale_closed", session_id="\ud800"), "JSON"),
        (lambda bus: bus.emit(SaleClosed(session_id="a"), total_cents=3), "either"),
        (lambda bus: bus.emit(SaleClosed.model_construct(session_id=b"\xff", total_cents={})), "JSON"),
    ],
)
async def test_event_that_does_not_fit_is_refused_and_nothing_is_written(bench, emit, says: str) -> None:
    """The error names the module, the event and the field."""
    broker = await bench.serving(("sale_closed", _collector([])))
    with pytest.raises(EventError, match=says) as caught:
        await emit(broker.scoped("caisse", emits=[SaleClosed]))
    assert "module caisse" in str(caught.value)
    assert (await bench.streams.snapshot([PAIR])).groups[PAIR].last_generated == "0-0"


async def test_another_class_of_the_same_name_is_refused(bench) -> None:
    """A name stands for one class."""
    impostor = type("SaleClosed", (Event,), {"__annotations__": {"session_id": str}, "session_id": "x"})
    broker = bench.broker()
    bus = broker.scoped("caisse", emits=[SaleClosed])
    with pytest.raises(EventError, match="another class"):
        await bus.emit(impostor())
    with pytest.raises(EventError, match="declared by caisse too"):
        broker.scoped("members", emits=[impostor])


async def test_second_unnamed_handler_is_refused(bench) -> None:
    """Two handlers in one group would re-run each other."""
    bus = bench.broker().scoped("paheko")
    bus.on("sale_closed", _collector([]))
    with pytest.raises(EventError, match="name='…'"):
        bus.on(SaleClosed, _collector([]))
    bus.on("sale_closed", _collector([]), name="stats")
    with pytest.raises(EventError, match="'stats'"):
        bus.on("sale_closed", _collector([]), name="stats")
    with pytest.raises(EventError, match="same group 'paheko'"):
        bench.brokers[0].scoped("other", group="paheko").on("sale_closed", _collector([]))


async def test_subscribing_to_a_running_bus_is_refused(bench) -> None:
    """Groups exist before anything is served."""
    broker = await bench.serving(("sale_closed", _collector([])))
    with pytest.raises(EventError, match="register_signals"):
        broker.scoped("late").on("sale_closed", _collector([]))
