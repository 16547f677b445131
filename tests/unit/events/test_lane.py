"""Lane: how much of a group waits in one process."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from recyclic.core.events.entries import Entry
from recyclic.core.events.event import Event
from recyclic.core.events.lane import Lane

PAIR = ("sale_closed", "paheko")


class SaleClosed(Event):
    session_id: str


def lane(prefetch: int = 256, concurrency: int = 8) -> Lane:
    return Lane(SimpleNamespace(pair=PAIR, concurrency=concurrency), prefetch)  # type: ignore[arg-type]


def test_what_is_handled_quickly_is_read_in_ever_larger_batches_up_to_the_prefetch() -> None:
    """Each read that brings all it asked for, soon after the last, doubles the next."""
    found, windows = lane(), []
    for step in range(8):
        found.paced(100.0 + step * 0.001, whole=True)
        windows.append(found.window)
    assert windows == [16, 32, 64, 128, 256, 256, 256, 256]


def test_of_what_takes_long_little_waits_here_so_that_another_process_can_have_it() -> None:
    found = lane()
    for step in range(8):
        found.paced(100.0 + step * 0.001, whole=True)
    windows = []
    for step in range(1, 7):
        found.paced(100.0 + step, whole=True)
        windows.append(found.window)
    assert windows == [128, 64, 32, 16, 16, 16]


def test_read_that_brings_less_than_asked_leaves_the_window_as_it_is() -> None:
    """There is no backlog to work off."""
    found = lane()
    for step in range(8):
        found.paced(100.0 + step * 0.001, whole=False)
    assert found.window == 16


def test_prefetch_below_the_concurrency_holds() -> None:
    assert lane(prefetch=3).window == 3


def test_lane_asks_for_more_at_half_and_never_beyond_its_window() -> None:
    found = lane()
    assert (found.hungry, found.room) == (True, 16)
    found.accept(Entry(f"1-{number}", []) for number in range(9))
    assert (found.hungry, found.room) == (False, 7)
    found.next()
    assert (found.hungry, found.room) == (True, 8)


def test_lane_tells_when_nothing_that_was_claimed_is_in_hand_any_more() -> None:
    found, told = lane(), []
    found.freed = lambda: told.append("freed")
    entries = [Entry("1-1", []), Entry("1-2", []), Entry("1-3", [])]
    found.accept(entries[:2], claimed=True)
    found.accept(entries[2:])
    found.suspect_since = 7.0
    found.release(entries[2])
    found.release(entries[0])
    assert (told, found.suspect_since) == ([], 7.0)
    found.release(entries[1])
    assert (told, found.suspect_since) == (["freed"], None)


@pytest.mark.parametrize("events", [50])
async def test_pitfall_37_what_waits_in_a_process_is_bounded_for_each_group(bench, events) -> None:
    """However long the backlog and however many the streams: the queue of a group holds its prefetch and no more."""
    gate = asyncio.Event()

    async def handler(session_id: str) -> None:
        await gate.wait()

    broker = bench.broker(prefetch=10, concurrency=3)
    bus = broker.scoped("caisse", emits=[SaleClosed])
    for module in ("paheko", "barcodes"):
        broker.scoped(module).on("sale_closed", handler)
    await broker.start()
    for number in range(events):
        await bus.emit("sale_closed", session_id=str(number))
    broker.consume()
    lanes = broker._consumer.lanes
    await bench.until(lambda: all(lane.workers == 3 and lane.queue for lane in lanes))
    assert all(len(lane.queue) <= 10 and len(lane.held) <= 13 for lane in lanes)
    gate.set()
    await bench.settled()
