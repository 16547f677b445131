"""Retries, attempts and dead letters, on every Redis."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime

import pytest

from recyclic.core.events.event import Envelope, Event
from recyclic.core.events.settings import BrokerSettings

PAIR = ("sale_closed", "paheko")


class SaleClosed(Event):
    """A till was closed."""

    session_id: str


class Failing:
    """A handler that fails a number of times, for some sessions or for all."""

    def __init__(self, times: int, only: str | None = None, error: BaseException | None = None) -> None:
        self.left = times
        self.only = only
        self.error = error or ValueError("accounting is away")
        self.seen: list[str] = []
        self.attempts: list[int] = []

    async def handle(self, session_id: str) -> None:
        self.seen.append(session_id)
        if self.left and self.only in (None, session_id):
            self.left -= 1
            raise self.error


def emitter(broker):
    return broker.scoped("caisse", emits=[SaleClosed])


async def test_failed_handler_is_redelivered_when_its_time_has_come_and_not_before(bench) -> None:
    """Backoff doubles, and is counted on the host's clock alone."""
    clock, handler = bench.manual_clock(), Failing(times=3)
    broker = await bench.serving(("sale_closed", handler.handle), clock=clock, backoff=1.0)
    await emitter(broker).emit("sale_closed", session_id="a")
    for attempt, delay in ((1, 1.0), (2, 2.0), (3, 4.0)):
        await bench.until(lambda attempt=attempt: len(bench.journal.of("failed")) == attempt)
        await bench.until(lambda: not broker.busy)
        assert bench.journal.of("failed")[-1] == ("sale_closed", "paheko", attempt, "accounting is away", delay)
        [pending] = (await broker.snapshot()).groups[PAIR].pending
        assert (pending.attempts, pending.due) == (attempt, clock.now() + delay)
        clock.advance(delay - 0.001)
        broker.wake()
        await bench.streams.take_due("nobody", [(PAIR, 10)], clock.now())
        assert len(handler.seen) == attempt
        clock.advance(0.001)
    await bench.settled()
    assert handler.seen == ["a"] * 4
    assert bench.journal.of("handled") == [("sale_closed", "paheko", 4)]


async def test_others_go_on_while_one_waits_for_its_retry(bench) -> None:
    """Poison never blocks what comes after it."""
    clock, handler = bench.manual_clock(), Failing(times=1, only="a")
    broker = await bench.serving(("sale_closed", handler.handle), clock=clock, concurrency=1)
    bus = emitter(broker)
    for session in "abc":
        await bus.emit("sale_closed", session_id=session)
    await bench.until(lambda: len(bench.journal.of("settled")) == 2)
    assert handler.seen == ["a", "b", "c"]


async def test_attempts_and_due_times_survive_the_process(bench) -> None:
    """They are stored with the entry: another process goes on where the dead one stood."""
    clock, first, second = bench.manual_clock(), Failing(times=9), Failing(times=9)
    broker = await bench.serving(("sale_closed", first.handle), clock=clock, max_attempts=3, backoff=10.0)
    await emitter(broker).emit("sale_closed", session_id="a")
    await bench.until(lambda: bench.journal.of("failed") and not broker.busy)
    await broker.crash()
    broker = await bench.serving(("sale_closed", second.handle), clock=clock, max_attempts=3, backoff=10.0)
    clock.advance(9.9)
    broker.wake()
    clock.advance(0.1)
    for attempt in (2, 3):
        await bench.until(lambda attempt=attempt: len(bench.journal.of("failed")) == attempt and not broker.busy)
        clock.advance(20.0)
    assert [call[2] for call in bench.journal.of("failed")] == [1, 2, 3]
    assert (first.seen, second.seen) == (["a"], ["a", "a"])
    [letter] = await bench.letters()
    assert letter.attempts == 3


async def test_entry_out_of_attempts_becomes_a_dead_letter(bench) -> None:
    """With its error, traceback, attempts and times; and nothing stays pending."""
    clock, handler = bench.manual_clock(), Failing(times=9)
    broker = await bench.serving(("sale_closed", handler.handle), clock=clock, max_attempts=2, backoff=5.0)
    started = clock.now()
    event_id = await emitter(broker).emit("sale_closed", session_id="a")
    await bench.until(lambda: bench.journal.of("failed") and not broker.busy)
    clock.advance(5.0)
    await bench.settled()
    await bench.until(lambda: bench.journal.of("settled"))
    [letter] = await bench.letters()
    assert (letter.event, letter.group, letter.attempts) == ("sale_closed", "paheko", 2)
    assert letter.error == "ValueError: accounting is away"
    assert letter.previous_error == "ValueError: accounting is away"
    assert "in handle" in letter.traceback
    assert "2 attempts" in letter.reason
    assert (letter.first_failed_at, letter.dead_at) == (started, started + 5.0)
    assert (letter.envelope.id, letter.envelope.data) == (event_id, {"session_id": "a"})
    assert [call[0] for call in bench.journal.calls][-3:] == ["failed", "dead", "settled"]
    assert await bench.client.exists("attempts:{events:sale_closed}:paheko", "retry:{events:sale_closed}:paheko") == 0


async def test_requeued_dead_letter_reaches_its_group_alone(bench) -> None:
    """With a fresh count of attempts and the id it always had."""
    handler, other = Failing(times=1), Failing(times=0)
    broker = bench.broker(max_attempts=1)
    bus = emitter(broker)
    broker.scoped("paheko").on("sale_closed", handler.handle)
    broker.scoped("members").on("sale_closed", other.handle)
    await broker.start()
    broker.consume()
    await bus.emit("sale_closed", session_id="a")
    await bench.until(lambda: bench.journal.of("dead"))
    [letter] = await bench.letters()
    assert await broker.dead_letters.requeue(letter)
    await bench.until(lambda: len(handler.seen) == 2)
    await bench.settled()
    assert other.seen == ["a"]
    assert await bench.letters() == []
    assert not await broker.dead_letters.requeue(letter)


async def test_requeued_dead_letter_is_sent_again_where_its_entry_is_gone(bench) -> None:
    """Trimmed from the stream by then: it goes out once more, for this group alone."""
    handler, other = Failing(times=1), Failing(times=0)
    broker = bench.broker(max_attempts=1)
    bus = emitter(broker)
    broker.scoped("paheko").on("sale_closed", handler.handle)
    broker.scoped("members").on("sale_closed", other.handle)
    await broker.start()
    broker.consume()
    await bus.emit("sale_closed", session_id="é")
    await bench.until(lambda: bench.journal.of("dead"))
    await bench.settled()
    await bench.client.xtrim("events:sale_closed", maxlen=0)
    [letter] = await bench.letters()
    assert await broker.dead_letters.requeue(letter)
    await bench.until(lambda: len(handler.seen) == 2)
    await bench.settled()
    assert (handler.seen, other.seen) == (["é", "é"], ["é"])
    assert await bench.letters() == []


async def test_dropped_dead_letter_is_gone(bench) -> None:
    """And nobody sees it again."""
    broker = await bench.serving(("sale_closed", Failing(times=1).handle), max_attempts=1)
    await emitter(broker).emit("sale_closed", session_id="a")
    await bench.until(lambda: bench.journal.of("dead"))
    [letter] = await bench.letters()
    assert [found.id for found in await broker.dead_letters.find(letter.id)] == [letter.id]
    assert await broker.dead_letters.drop(letter)
    assert not await broker.dead_letters.drop(letter)
    assert await bench.letters() == []


def envelope(**changes) -> dict:
    fields = Envelope(
        id="1", event="sale_closed", source="till", time=datetime(2025, 9, 17, tzinfo=UTC), data={"session_id": "a"}
    ).encode()
    return {key: value for key, value in ({**fields, **changes}).items() if value is not None}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"foo": "bar"}, "no field 'data'", id="foreign"),
        pytest.param({b"\xff\x00": b"\xfe" * 100}, "no field 'data'", id="binary"),
        pytest.param(envelope(data=b"{not json"), "cannot be read", id="damaged"),
        pytest.param(envelope(data=b"[1]"), "not a JSON object", id="not an object"),
        pytest.param(envelope(data=b'"\xff"'), "cannot be read", id="not text"),
        pytest.param(envelope(time=b"yesterday"), "cannot be read", id="time"),
        pytest.param(envelope(id=b"\xff"), "cannot be read", id="id"),
        pytest.param(envelope(dataschema=b"sale_closed/two"), "cannot be read", id="version"),
        pytest.param(envelope(type=b"sale_opened"), "type 'sale_opened'", id="another type"),
        pytest.param(envelope(data=b"{}"), "session_id: Field required", id="field missing"),
        pytest.param(envelope(data=b'{"session_id": [1]}'), "valid string", id="field of another type"),
        pytest.param(envelope(data=b"[" * 100_000), "cannot be read", id="deep"),
        pytest.param({str(number): "x" for number in range(9000)}, "no field 'data'", id="9000 fields"),
    ],
)
async def test_entry_that_cannot_be_handled_is_dead_at_once_and_the_next_is_handled(bench, fields, reason) -> None:
    """Never a loop, never a crash: the reason is told, and the original fields are kept."""
    handler = Failing(times=0)
    broker = await bench.serving(("sale_closed", handler.handle))
    await bench.raw("sale_closed", fields)
    await emitter(broker).emit("sale_closed", session_id="after")
    await bench.settled()
    await bench.until(lambda: len(bench.journal.of("settled")) == 2)
    assert handler.seen == ["after"]
    [letter] = await bench.letters()
    assert reason in letter.reason
    assert letter.attempts == 0
    as_bytes = {
        k.encode() if isinstance(k, str) else k: v.encode() if isinstance(v, str) else v for k, v in fields.items()
    }
    assert letter.fields == as_bytes


async def test_entry_whose_body_is_gone_is_dead_with_that_reason(bench) -> None:
    """Deleted while it was pending: a loss that is told, not a loop."""
    clock, handler = bench.manual_clock(), Failing(times=1)
    broker = await bench.serving(("sale_closed", handler.handle), clock=clock)
    await emitter(broker).emit("sale_closed", session_id="a")
    await bench.until(lambda: bench.journal.of("failed") and not broker.busy)
    await bench.client.xtrim("events:sale_closed", maxlen=0)
    clock.advance(1.0)
    await bench.settled()
    await bench.until(lambda: bench.journal.of("dead"))
    [letter] = await bench.letters()
    assert "body is gone" in letter.reason
    assert letter.fields == {}


class UnspeakableError(Exception):
    """An error whose own text fails."""

    def __str__(self) -> str:
        raise RuntimeError("nothing to say")


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(1),
        asyncio.CancelledError(),
        UnspeakableError(),
        ExceptionGroup("several", [ValueError("x")]),
        ValueError("\ud800"),
    ],
    ids=["exit", "cancelled", "unspeakable", "group", "surrogate"],
)
async def test_whatever_a_handler_raises_fails_its_attempt_and_no_more(bench, error) -> None:
    """The process goes on, and the next attempt comes."""
    handler = Failing(times=1, error=error)
    broker = await bench.serving(("sale_closed", handler.handle))
    await emitter(broker).emit("sale_closed", session_id="a")
    await bench.until(lambda: bench.journal.of("handled"))
    await bench.settled()
    assert handler.seen == ["a", "a"]


async def test_handler_beyond_its_time_fails(bench) -> None:
    """It is cancelled, and the attempt is told as a timeout."""
    clock, cancelled = bench.manual_clock(), asyncio.Event()

    async def hangs(**data: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    broker = bench.broker(clock=clock, max_attempts=1)
    broker.scoped("paheko").on("sale_closed", hangs, timeout=5.0)
    await broker.start()
    broker.consume()
    await emitter(broker).emit("sale_closed", session_id="a")
    await bench.until(lambda: bench.journal.of("delivered"))
    await asyncio.sleep(0)
    clock.advance(5.0)
    await bench.until(lambda: bench.journal.of("dead"))
    assert cancelled.is_set()
    [letter] = await bench.letters()
    assert "longer than 5 s" in letter.error


async def test_poison_that_kills_its_process_is_dead_after_as_many_deaths_and_takes_nobody_along(bench) -> None:
    """A death counts as an attempt; what had been lost before is claimed alone, so that innocents are handled."""
    deaths = 0
    dying = asyncio.Event()
    handled: list[str] = []

    async def handler(session_id: str) -> None:
        if session_id == "poison":
            dying.set()
            await asyncio.Event().wait()
        handled.append(session_id)

    broker = await bench.serving(("sale_closed", handler), max_attempts=3, concurrency=1)
    bus = emitter(broker)
    for session in ("poison", *"abcdef"):
        await bus.emit("sale_closed", session_id=session)
    while True:
        waits = [
            asyncio.ensure_future(dying.wait()),
            asyncio.ensure_future(bench.until(lambda: bench.journal.of("dead"))),
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*waits)
        if not dying.is_set():
            break
        dead = await broker.crash()
        dying.clear()
        deaths += 1
        broker = await bench.serving(("sale_closed", handler), max_attempts=3, concurrency=1)
        broker.claim_from(dead)
    await bench.settled()
    assert deaths == 3
    [letter] = await bench.letters()
    assert letter.envelope.data == {"session_id": "poison"}
    assert "process died" in letter.reason
    assert sorted(handled) == list("abcdef")


def test_delays_double_up_to_their_limit_and_jitter_spreads_them_by_a_fifth() -> None:
    """1, 2, 4 … seconds, never beyond the longest, however many attempts there were."""
    plain = BrokerSettings(jitter=False, max_backoff=300.0)
    assert [plain.delay(attempt, 1.0, 0.7) for attempt in (1, 2, 3, 9, 10, 5000)] == [
        1.0,
        2.0,
        4.0,
        256.0,
        300.0,
        300.0,
    ]
    spread = BrokerSettings(jitter=True)
    assert [spread.delay(2, 1.0, place) for place in (-1.0, 0.0, 1.0)] == [1.6, 2.0, 2.4]
