"""The virtual clock: it stands still, and fires what it is advanced over."""

from __future__ import annotations

import asyncio

import pytest

from recyclic.testing import VirtualClock


async def turns(count: int = 5) -> None:
    """Let tasks that are ready go on."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_it_stands_still():
    clock = VirtualClock(1000.0)
    await turns()
    assert (clock.now(), clock.monotonic()) == (1000.0, 0.0)


async def test_advancing_wakes_who_waits_and_nobody_else():
    clock = VirtualClock()
    early, late = asyncio.create_task(clock.wait(5)), asyncio.create_task(clock.wait(10))
    await turns()
    clock.advance(5)
    await turns()
    assert early.done()
    assert not late.done()
    assert clock.next_due() == 5
    clock.advance(5)
    await late


async def test_waits_end_in_due_order():
    clock, ended = VirtualClock(), []

    async def wait(seconds):
        await clock.wait(seconds)
        ended.append(seconds)

    tasks = [asyncio.create_task(wait(seconds)) for seconds in (3, 1, 2)]
    await turns()
    clock.advance(10)
    await asyncio.gather(*tasks)
    assert ended == [1, 2, 3]


async def test_an_event_ends_a_wait_early_and_leaves_no_timer():
    clock, wake = VirtualClock(), asyncio.Event()
    waiting = asyncio.create_task(clock.wait(60, wake))
    await turns()
    wake.set()
    await waiting
    assert wake.is_set()
    assert clock.timers == ()


async def test_a_cancelled_wait_leaves_no_timer():
    clock = VirtualClock()
    waiting = asyncio.create_task(clock.wait(60, asyncio.Event()))
    await turns()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert clock.next_due() is None


async def test_who_waits_is_known_until_the_wait_is_over():
    clock, wake = VirtualClock(), asyncio.Event()
    waiting = [asyncio.create_task(clock.wait(5, wake)), asyncio.create_task(clock.wait(7))]
    await turns()
    assert clock.waiting() == {waiting[0]: 5.0, waiting[1]: 7.0}
    wake.set()  # it has something to do now, although it has not gone on yet
    assert clock.waiting() == {waiting[1]: 7.0}
    clock.advance(7)
    assert clock.waiting() == {}
    await asyncio.gather(*waiting)


async def test_it_tells_whom_it_wakes_and_who_waits():
    clock, told = VirtualClock(), []
    clock.on_wake = lambda task: told.append(("wakes", task.get_name()))
    clock.on_wait = lambda task: told.append(("waits", task.get_name()))

    async def poll():
        for _ in range(2):
            await clock.wait(1)

    polling = asyncio.create_task(poll(), name="poll")
    await turns()
    clock.advance(1)
    await turns()
    assert told == [("waits", "poll"), ("wakes", "poll"), ("waits", "poll")]
    clock.advance(1)
    await polling


def test_time_does_not_run_backwards():
    with pytest.raises(ValueError, match="time does not run backwards"):
        VirtualClock().advance(-1)
