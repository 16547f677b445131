"""Observers hear what crosses the bus, and the bus never feels them."""

from __future__ import annotations

from typing import Any

import pytest

from recyclic.core.events.event import Event
from recyclic.core.events.observer import Observer, Observers
from recyclic.core.events.tally import Tally


class SaleClosed(Event):
    """A till was closed."""

    session_id: str


class Raising(Observer):
    """Fails in everything that it is told."""

    def emitted(self, *_: Any) -> None:
        raise RuntimeError("emitted")

    def delivered(self, *_: Any) -> None:
        raise RuntimeError("delivered")

    def handled(self, *_: Any) -> None:
        raise RuntimeError("handled")

    def settled(self, *_: Any) -> None:
        raise RuntimeError("settled")

    def changed(self) -> None:
        raise RuntimeError("changed")


@pytest.fixture
def backend() -> str:
    return "fake"


async def test_observer_that_fails_is_logged_and_never_felt(bench, caplog) -> None:
    """The event is emitted, handled and acked, and the other observers hear of it."""
    seen: list[str] = []

    async def take(session_id: str) -> None:
        seen.append(session_id)

    broker = bench.broker()
    tally = Tally()
    broker.observers = Observers([Raising(), tally, bench.journal])
    broker.scoped("paheko").on("sale_closed", take)
    await broker.start()
    broker.consume()
    await broker.scoped("caisse", emits=[SaleClosed]).emit("sale_closed", session_id="a")
    await bench.settled()
    assert seen == ["a"]
    assert [call[0] for call in bench.journal.calls] == ["emitted", "delivered", "handled", "settled"]
    assert (tally.emitted_of["sale_closed"], tally.groups["sale_closed", "paheko"].handled) == (1, 1)
    for what in ("emitted", "delivered", "handled", "settled", "changed"):
        assert f"RuntimeError: {what}" in caplog.text


def test_only_what_an_observer_minds_is_prepared_for_it() -> None:
    """So that counting costs a handled event next to nothing."""
    counting = Observers([Tally()])
    assert (counting.hears_delivered, counting.hears_handled, counting.hears_settled) == (False, True, False)
    everything = Observers([Raising()])
    assert (everything.hears_delivered, everything.hears_handled, everything.hears_settled) == (True, True, True)
    nobody = Observers()
    assert (nobody.hears_delivered, nobody.hears_handled, nobody.hears_settled) == (False, False, False)
    nobody.add(Tally())
    assert nobody.hears_handled
