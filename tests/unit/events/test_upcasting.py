"""Events of older versions reach handlers as their class declares them today."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from recyclic.core.events.event import Envelope, Event, EventMeta


class SaleClosed(Event):
    """A till was closed."""

    version = 3
    session_id: str
    total_cents: int
    currency: str

    @classmethod
    def upcast(cls, version: int, data: dict[str, Any]) -> dict[str, Any]:
        """1 → 2: the total was in euros. 2 → 3: there was one currency."""
        if version == 1:
            return {"session_id": data["session_id"], "total_cents": round(data["total"] * 100)}
        return {**data, "currency": "EUR"}


def of_version(version: int, **data: Any) -> dict[str, bytes]:
    time = datetime(2025, 9, 17, tzinfo=UTC)
    return Envelope(id="1", event="sale_closed", source="caisse", time=time, version=version, data=data).encode()


class Taker:
    def __init__(self) -> None:
        self.taken: list[tuple[dict[str, Any], int]] = []

    async def take(self, total_cents: int, currency: str, meta: EventMeta) -> None:
        self.taken.append(({"total_cents": total_cents, "currency": currency}, meta.version))


async def serve(bench, *emits: type[Event]) -> tuple[Any, Taker]:
    taker = Taker()
    broker = bench.broker(max_attempts=2)
    broker.scoped("caisse", emits=emits)
    broker.scoped("paheko").on("sale_closed", taker.take)
    await broker.start()
    broker.consume()
    return broker, taker


@pytest.mark.parametrize(
    ("version", "data"),
    [
        (1, {"session_id": "a", "total": 12.5}),
        (2, {"session_id": "a", "total_cents": 1250}),
        (3, {"session_id": "a", "total_cents": 1250, "currency": "EUR"}),
    ],
)
async def test_old_event_is_upcast_step_by_step(bench, version, data) -> None:
    """From its own version to the one of its class, before the handler's contract binds; `meta.version` is today's."""
    _, taker = await serve(bench, SaleClosed)
    await bench.raw("sale_closed", of_version(version, **data))
    await bench.settled()
    assert taker.taken == [({"total_cents": 1250, "currency": "EUR"}, 3)]


async def test_event_of_a_newer_version_is_a_dead_letter_until_the_upgrade(bench) -> None:
    """Old code cannot know what changed. After the upgrade a requeue delivers it."""
    old = type("SaleClosed", (SaleClosed,), {"version": 2, "__module__": __name__})
    broker, taker = await serve(bench, old)
    await bench.raw("sale_closed", of_version(3, session_id="a", total_cents=1250, currency="CHF"))
    await bench.until(lambda: bench.journal.of("dead"))
    [letter] = await bench.letters()
    assert "sale_closed of version 3: this host knows sale_closed up to version 2" in letter.reason
    assert "requeue it once every process runs the newer module" in letter.reason
    await broker.close()
    broker, taker = await serve(bench, SaleClosed)
    assert await broker.dead_letters.requeue(letter)
    await bench.until(lambda: taker.taken)
    assert taker.taken == [({"total_cents": 1250, "currency": "CHF"}, 3)]


class Broken(SaleClosed):
    """A till was closed."""

    name = "sale_closed"

    @classmethod
    def upcast(cls, version: int, data: dict[str, Any]) -> dict[str, Any]:
        """Fails in each way there is."""
        match data["total"]:
            case 1:
                raise ZeroDivisionError("no total")
            case 2:
                raise SystemExit(3)
            case _:
                return [data]  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("total", "reason"), [(1, "ZeroDivisionError: no total"), (2, "SystemExit: 3"), (3, "it is list, not a dict")]
)
async def test_failing_upcast_is_a_dead_letter_at_once_and_the_next_event_is_handled(bench, total, reason) -> None:
    """The reason names the class to correct, and the original payload is kept."""
    _, taker = await serve(bench, Broken)
    await bench.raw("sale_closed", of_version(1, session_id="a", total=total))
    await bench.raw("sale_closed", of_version(3, session_id="b", total_cents=7, currency="EUR"))
    await bench.until(lambda: taker.taken and bench.journal.of("dead"))
    [letter] = await bench.letters()
    assert reason in letter.reason
    assert "correct Broken.upcast" in letter.reason
    assert letter.envelope.data == {"session_id": "a", "total": total}
    assert len(bench.journal.of("failed")) == 0


async def test_without_its_producer_an_event_is_handed_over_as_it_is(bench) -> None:
    """Nobody here knows its versions: the handler's contract decides."""
    _, taker = await serve(bench)
    await bench.raw("sale_closed", of_version(9, session_id="a", total_cents=5, currency="EUR"))
    await bench.raw("sale_closed", of_version(1, session_id="a", total=12.5))
    await bench.until(lambda: taker.taken and bench.journal.of("dead"))
    assert taker.taken == [({"total_cents": 5, "currency": "EUR"}, 9)]
    [letter] = await bench.letters()
    assert "total_cents: Field required" in letter.reason


class MemberCreated(Event):
    """Somebody joined."""

    version = 2
    member_id: str
    newsletter: bool


async def test_class_without_upcast_says_that_nothing_has_to_be_done(bench) -> None:
    """A field was added, say: whoever does not name it reads old events as ever."""
    seen: list[str] = []

    async def take(member_id: str) -> None:
        seen.append(member_id)

    broker = bench.broker()
    broker.scoped("members", emits=[MemberCreated])
    broker.scoped("paheko").on("member_created", take)
    await broker.start()
    broker.consume()
    time = datetime(2025, 9, 17, tzinfo=UTC)
    old = Envelope(id="1", event="member_created", source="members", time=time, data={"member_id": "m"})
    await bench.raw("member_created", old.encode())
    await bench.until(lambda: seen == ["m"])
