"""Conformance: what the bus needs of a Redis, as tests that every backend of the kit passes, and may be run on yours.

`test_conformance = conformance_tests("server", "redis://127.0.0.1:6379/15")` puts them into a test file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from recyclic.core.events.entries import DeadLetter, Verdict
from recyclic.testing.backends import OpenStreams, backend
from recyclic.testing.errors import KitError

if TYPE_CHECKING:
    from recyclic.core.events.streams import RedisStreams

Promise = Callable[["RedisStreams"], Awaitable[None]]

PAIR: Final = ("sale_closed", "books")
OTHERS: Final = ("sale_closed", "stock")


async def entries_come_in_the_order_of_their_appends(streams: RedisStreams) -> None:
    """Ids grow, and a group reads in their order, whatever the fields hold."""
    await streams.ensure_groups([PAIR])
    bodies = [b"", b"\x00\xff\r\n", "élan".encode(), b"x" * 70_000]
    ids = [await streams.append("sale_closed", {"data": body}) for body in bodies]
    [read] = await streams.read("one", [(PAIR, 10)])
    assert [entry.id for entry in read or ()] == ids
    assert [entry.fields[b"data"] for entry in read or ()] == bodies


async def a_new_group_starts_at_the_first_entry(streams: RedisStreams) -> None:
    """Also where it comes after the entries; it is created once."""
    first = await streams.append("sale_closed", {"data": b"1"})
    assert await streams.ensure_groups([PAIR]) == [PAIR]
    assert await streams.ensure_groups([PAIR]) == []
    [read] = await streams.read("one", [(PAIR, 10)])
    assert [entry.id for entry in read or ()] == [first]


async def every_group_is_given_every_entry_and_one_consumer_of_each(streams: RedisStreams) -> None:
    """Nothing is handed over twice."""
    await streams.ensure_groups([PAIR, OTHERS])
    await streams.append("sale_closed", {"data": b"1"})
    one, other = await streams.read("one", [(PAIR, 10), (OTHERS, 10)])
    assert len(one or ()) == len(other or ()) == 1
    assert await streams.read("two", [(PAIR, 10), (OTHERS, 10)]) == [[], []]


async def a_group_that_is_missing_is_told_apart_from_an_empty_one(streams: RedisStreams) -> None:
    """So that it can be created again."""
    assert await streams.read("one", [(PAIR, 10)]) == [None]
    await streams.ensure_groups([PAIR])
    assert await streams.read("one", [(PAIR, 10)]) == [[]]


async def only_the_owner_acks_and_only_once(streams: RedisStreams) -> None:
    """Another is told that it lost the entry."""
    entry_id = await _delivered(streams)
    assert await streams.ack("two", [(PAIR, (entry_id,))]) == [[Verdict.LOST]]
    assert await streams.ack("one", [(PAIR, (entry_id,))]) == [[Verdict.DONE]]
    assert await streams.ack("one", [(PAIR, (entry_id,))]) == [[Verdict.GONE]]


async def a_retry_is_due_at_its_time_and_not_before(streams: RedisStreams) -> None:
    """By the clock that asks, and for whoever asks first; its failed attempts are known."""
    entry_id = await _delivered(streams)
    verdict = await streams.schedule_retry(PAIR, "one", entry_id, due=100.0, attempt=1, error="down", now=99.0)
    assert verdict is Verdict.DONE
    assert await streams.take_due("two", [(PAIR, 10)], 99.9) == [[]]
    [due] = await streams.take_due("two", [(PAIR, 10)], 100.0)
    assert [(entry.id, entry.attempts) for entry in due or ()] == [(entry_id, 1)]
    assert await streams.take_due("one", [(PAIR, 10)], 100.0) == [[]]


async def what_a_dead_consumer_held_is_claimed_with_the_attempt_counted(streams: RedisStreams) -> None:
    """It belongs to whoever claimed it."""
    entry_id = await _delivered(streams)
    held, claimed = await streams.claim(PAIR, "two", "one", limit=10, now=1.0, max_attempts=5)
    assert (held, [(entry.id, entry.attempts) for entry in claimed]) == (1, [(entry_id, 1)])
    assert await streams.ack("one", [(PAIR, (entry_id,))]) == [[Verdict.LOST]]
    assert await streams.ack("two", [(PAIR, (entry_id,))]) == [[Verdict.DONE]]


async def a_dead_letter_leaves_the_group_and_can_come_back(streams: RedisStreams) -> None:
    """With all its fields, and no attempt counted."""
    entry_id = await _delivered(streams)
    letter = DeadLetter(
        event=PAIR[0], group=PAIR[1], entry_id=entry_id, reason="no", attempts=5, dead_at=7.0, fields={b"data": b"1"}
    )
    assert await streams.dead_letter(PAIR, "one", letter) is Verdict.DONE
    assert (await streams.snapshot([PAIR])).settled
    [kept] = await streams.dead_letters(PAIR)
    assert (kept.entry_id, kept.reason, kept.attempts, kept.fields) == (entry_id, "no", 5, {b"data": b"1"})
    assert await streams.requeue(PAIR, kept.id, 8.0)
    assert not await streams.requeue(PAIR, kept.id, 8.0)
    [due] = await streams.take_due("two", [(PAIR, 10)], 8.0)
    assert [(entry.id, entry.attempts) for entry in due or ()] == [(entry_id, 0)]


async def who_leaves_hands_back_what_it_holds(streams: RedisStreams) -> None:
    """Due at once, and nothing is left with it."""
    entry_id = await _delivered(streams)
    assert await streams.leave([PAIR], "one", 3.0) == 0
    [due] = await streams.take_due("two", [(PAIR, 10)], 3.0)
    assert [entry.id for entry in due or ()] == [entry_id]
    [consumers] = await streams.consumers([PAIR])
    assert "one" not in consumers
    assert consumers["two"] == 1


async def heartbeats_count(streams: RedisStreams) -> None:
    """Each consumer's own, seen by all."""
    assert await streams.beat("one") == {"one": 1}
    assert await streams.beat("two") == {"one": 1, "two": 1}
    assert await streams.beat("one") == {"one": 2, "two": 1}
    await streams.forget_beat("two")
    assert await streams.beat("one") == {"one": 3}


async def the_outbox_hands_over_in_order_and_hears_of_a_loss(streams: RedisStreams) -> None:
    """Nothing is appended where the server has lost what it had confirmed."""
    done = await streams.hand_over("sale_closed", [{"data": b"1"}, {"data": b"2"}], "0-0")
    assert len(done.ids) == 2
    assert await streams.handed_over("sale_closed") == done.ids[-1]
    lost = await streams.hand_over("sale_closed", [{"data": b"3"}], "9999999999999-0")
    assert list(lost.ids) == []
    assert await streams.length("sale_closed") == 2


async def a_snapshot_says_what_is_unread_pending_and_scheduled(streams: RedisStreams) -> None:
    """And settled only where there is nothing of it."""
    await streams.ensure_groups([PAIR])
    assert (await streams.snapshot([PAIR])).settled
    await streams.append("sale_closed", {"data": b"1"})
    assert (await streams.snapshot([PAIR])).groups[PAIR].unread
    [read] = await streams.read("one", [(PAIR, 1)])
    assert read
    [entry] = read
    [pending] = (await streams.snapshot([PAIR])).groups[PAIR].pending
    assert (pending.entry_id, pending.consumer, pending.due) == (entry.id, "one", None)
    await streams.schedule_retry(PAIR, "one", entry.id, due=5.0, attempt=1, error="", now=4.0)
    assert (await streams.snapshot([PAIR])).next_due == 5.0
    await streams.take_due("one", [(PAIR, 1)], 5.0)
    await streams.ack("one", [(PAIR, (entry.id,))])
    assert (await streams.snapshot([PAIR])).settled


async def nothing_that_a_group_has_not_acked_is_trimmed(streams: RedisStreams) -> None:
    """Whatever length was asked for."""
    await streams.ensure_groups([PAIR])
    ids = [await streams.append("sale_closed", {"data": b"%d" % number}) for number in range(10)]
    await streams.read("one", [(PAIR, 10)])
    await streams.ack("one", [(PAIR, tuple(ids[:6]))])
    await streams.trim("sale_closed", 0, exact=True)
    _, kept = await streams.history("sale_closed", "-", "+", 100)
    assert [entry.id for entry in kept] == ids[6:]


async def who_waits_for_news_is_told(streams: RedisStreams) -> None:
    """Of what came after the positions that it had seen."""
    await streams.append("sale_closed", {"data": b"1"})
    seen = await streams.tails(["sale_closed", "member_created"])
    waiting = asyncio.ensure_future(streams.news(seen))
    await asyncio.sleep(0)
    await streams.append("member_created", {"data": b"2"})
    assert set((await waiting).grown) == {"member_created"}


async def what_is_new_comes_with_the_news_where_it_can(streams: RedisStreams) -> None:
    """Read behind the wait in the same round trip; a wait that is called back has read, too."""
    await streams.ensure_groups([("sale_closed", "books")])
    if not streams.reads_behind:
        return
    seen, want = await streams.tails(["sale_closed"]), (("sale_closed", "books"), 10)
    waiting = asyncio.ensure_future(streams.news(seen, "reader", [want]))
    await asyncio.sleep(0)
    entry_id = await streams.append("sale_closed", {"data": b"1"})
    news = await waiting
    assert news.grown == {"sale_closed": entry_id}
    assert [[entry.id for entry in entries or ()] for entries in news.read] == [[entry_id]]
    waiting = asyncio.ensure_future(streams.news(news.grown, "reader", [want]))
    while not waiting.done():
        await streams.recall()
    assert waiting.result() == ({}, [[]])


PROMISES: Final[tuple[Promise, ...]] = (
    entries_come_in_the_order_of_their_appends,
    a_new_group_starts_at_the_first_entry,
    every_group_is_given_every_entry_and_one_consumer_of_each,
    a_group_that_is_missing_is_told_apart_from_an_empty_one,
    only_the_owner_acks_and_only_once,
    a_retry_is_due_at_its_time_and_not_before,
    what_a_dead_consumer_held_is_claimed_with_the_attempt_counted,
    a_dead_letter_leaves_the_group_and_can_come_back,
    who_leaves_hands_back_what_it_holds,
    heartbeats_count,
    the_outbox_hands_over_in_order_and_hears_of_a_loss,
    a_snapshot_says_what_is_unread_pending_and_scheduled,
    nothing_that_a_group_has_not_acked_is_trimmed,
    who_waits_for_news_is_told,
    what_is_new_comes_with_the_news_where_it_can,
)
"""All of them; each is given a transport to an empty Redis."""


def conformance_tests(*backends: str, only: tuple[Promise, ...] = PROMISES) -> Callable[..., None]:
    """Make a test with one case for each backend and promise; `test_conformance = …` in a test file puts it there.

    Raises:
        KitError: no backend is named, so that nothing would be tested.
    """
    import pytest  # noqa: PLC0415 - the promises themselves need none

    if not backends or not only:
        raise KitError("conformance_tests(): name a backend, such as 'server'; else nothing is tested")

    @pytest.mark.parametrize("name", backends)
    @pytest.mark.parametrize("promise", only, ids=lambda promise: promise.__name__)
    def test_conformance(name: str, promise: Promise) -> None:
        """The backend keeps this promise."""
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:  # nobody else's current loop
            runner.run(keeps(name, promise))

    return test_conformance


async def keeps(name: str, promise: Promise) -> None:
    """Hold a backend to a promise, on a Redis that is empty.

    Raises:
        AssertionError: it does not keep it.
    """
    opened: OpenStreams
    async with backend(name).open() as opened:
        streams = opened()
        try:
            await promise(streams)
            assert not opened.difference(), opened.difference()
        finally:
            await streams.close()


async def _delivered(streams: RedisStreams) -> str:
    """Append an entry and hand it to the consumer `one`."""
    await streams.ensure_groups([PAIR])
    entry_id = await streams.append("sale_closed", {"data": b"1"})
    await streams.read("one", [(PAIR, 10)])
    return entry_id
