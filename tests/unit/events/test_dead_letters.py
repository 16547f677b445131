"""Dead letters, on every Redis: found, shown, given back by exactly one of several operators, or dropped."""

from __future__ import annotations

import asyncio

import pytest

from recyclic.core.events.dead_letters import DeadLetters, Which, described
from recyclic.core.events.entries import DeadLetter, Verdict
from recyclic.core.events.event import Event
from recyclic.errors import BusError

pytestmark = pytest.mark.slow  # hundreds of letters

PAIR = ("sale_closed", "paheko")


class SaleClosed(Event):
    """A till was closed."""

    session_id: str


class Clock:
    """A time that tests say."""

    def __init__(self, now: float) -> None:
        self.time = now

    def now(self) -> float:
        return self.time


async def bury(bench, event="sale_closed", group="paheko", *, error="ValueError: no", at=1000.0, fields=None) -> str:
    """Write a dead letter as a worker does, and return its id."""
    await bench.streams.ensure_groups([(event, group)])
    written = {"n": b"1"} if fields is None else {key.decode(): value for key, value in fields.items()}
    entry_id = await bench.streams.append(event, written)
    while entry_id not in [entry.id for entry in (await bench.streams.read("c", [((event, group), 100)]))[0] or ()]:
        pass
    letter = DeadLetter(
        event=event,
        group=group,
        entry_id=entry_id,
        reason="it failed in each of 5 attempts",
        attempts=5,
        dead_at=at,
        error=error,
        traceback="Traceback: …",
        fields={key.encode(): value for key, value in written.items()},
    )
    assert await bench.streams.dead_letter((event, group), "c", letter) is Verdict.DONE
    return (await bench.streams.dead_letters((event, group)))[-1].id


async def trimmed(bench, event="sale_closed") -> None:
    """Let the stream lose all that it has."""
    await bench.client.xtrim(f"events:{event}", maxlen=0)


async def stream(bench, event="sale_closed") -> list[dict]:
    return [fields for _, fields in await bench.client.xrange(f"events:{event}")]


@pytest.mark.parametrize("gone", [True, False], ids=["entry gone", "entry there"])
async def test_of_several_operators_exactly_one_requeues(bench, gone) -> None:
    """The others are told that it was gone: nothing is sent twice, and nothing is lost."""
    await bury(bench)
    if gone:
        await trimmed(bench)
    [letter] = [found async for found in DeadLetters(bench.streams, Clock(2000.0)).all()]
    boxes = [DeadLetters(bench.streams, Clock(2000.0)) for _ in range(8)]
    assert sorted(await asyncio.gather(*(box.requeue(letter) for box in boxes))) == [False] * 7 + [True]
    assert len(await stream(bench)) == 1
    assert await bench.streams.dead_letters(PAIR) == []
    state = (await bench.streams.snapshot([PAIR])).groups[PAIR]
    assert (state.unread, len(state.pending)) == ((True, 0) if gone else (False, 1))


async def test_requeue_beside_a_drop_does_one_of_the_two(bench) -> None:
    """Either it is sent again or it is dropped."""
    for _ in range(10):
        letter_id = await bury(bench)
        await trimmed(bench)
        sent, dropped = await asyncio.gather(
            bench.streams.requeue(PAIR, letter_id, 0.0), bench.streams.drop(PAIR, letter_id)
        )
        assert sent is not dropped
        assert len(await stream(bench)) == (1 if sent else 0)
        assert await bench.streams.dead_letters(PAIR) == []


async def test_copy_of_a_requeued_event_is_byte_for_byte_what_it_was(bench) -> None:
    """Bytes that are no text included; only whom it is for is added."""
    fields = {b"data": b"\xff\x00{", b"id": b"1"}
    letter_id = await bury(bench, fields=fields)
    await trimmed(bench)
    assert await bench.streams.requeue(PAIR, letter_id, 0.0)
    assert await stream(bench) == [{**fields, b"targetgroup": b"paheko"}]


async def test_requeue_creates_a_group_that_is_gone(bench) -> None:
    """Else the copy would wait for nobody, and be cleaned up."""
    letter_id = await bury(bench)
    await trimmed(bench)
    await bench.client.xgroup_destroy("events:sale_closed", "paheko")
    assert await bench.streams.requeue(PAIR, letter_id, 0.0)
    found = await bench.streams.trim("sale_closed", 1, exact=True)
    assert (found.length, found.copies, found.held_by) == (1, 1, "paheko")
    [[entry]] = await bench.streams.read("c", [(PAIR, 10)])
    assert entry.fields == {b"n": b"1", b"targetgroup": b"paheko"}


async def test_letter_of_which_nothing_is_left_is_refused_and_the_others_go_on(bench) -> None:
    """Its body was gone already when it died; and one too large to be sent again is told as well."""
    box = DeadLetters(bench.streams, Clock(2000.0))
    await bury(bench)
    [empty] = [letter async for letter in box.all()]
    await trimmed(bench)
    await bench.client.delete("dead:{events:sale_closed}:paheko")
    for fields in ({}, {str(number).encode(): b"x" for number in range(9000)}, {b"n": b"1"}):
        again = DeadLetter(
            event=PAIR[0], group=PAIR[1], entry_id="1-1", reason="x", attempts=0, dead_at=1.0, fields=fields
        )
        words = [part if isinstance(part, bytes) else str(part).encode() for part in ("entry", "1-1", *again.encode())]
        await bench.client.execute_command("XADD", "dead:{events:sale_closed}:paheko", "*", *words)
    decided = await box.requeue_all(Which())
    assert decided.done == 1
    assert ["nothing is left" in decided.problems[0].what, "too many fields" in decided.problems[1].what] == [True] * 2
    assert decided.problems[0].where.startswith("sale_closed/paheko/")
    assert len(await bench.streams.dead_letters(PAIR)) == 2
    assert len(await stream(bench)) == 1
    assert await box.requeue(empty) is False


async def test_filters_name_event_group_error_and_age(bench) -> None:
    """Each alone, and together; the text is found in error and reason, in any case."""
    box = DeadLetters(bench.streams, Clock(10_000.0))
    await bury(bench, error="ValueError: no account", at=9_000.0)
    await bury(bench, error="TimeoutError: took long", at=9_900.0)
    await bury(bench, group="members", error="KeyError", at=1_000.0)
    await bury(bench, event="till_opened", error="ValueError: no till", at=9_990.0)

    async def found(**which) -> list[tuple[str, str, str]]:
        return [(x.event, x.group, x.error) async for x in box.all(which=Which(**which))]

    account = ("sale_closed", "paheko", "ValueError: no account")
    took = ("sale_closed", "paheko", "TimeoutError: took long")
    member = ("sale_closed", "members", "KeyError")
    till = ("till_opened", "paheko", "ValueError: no till")
    assert await found() == [member, account, took, till]
    assert await found(event="till_opened") == [till]
    assert await found(event="till_*") == []
    assert await found(group="paheko") == [account, took, till]
    assert await found(error="valueerror: NO") == [account, till]
    assert await found(error="5 attempts", event="sale_closed") == [member, account, took]
    assert await found(older_than=1000.0) == [member, account]
    assert await found(younger_than=1000.0) == [took, till]
    assert await found(older_than=50.0, younger_than=1000.0) == [took]
    assert (await box.drop_all(Which(error="valueerror", group="paheko"))).done == 2
    assert await found() == [member, took]
    assert (await box.requeue_all(Which(group="paheko"))).done == 1
    assert await found() == [member]


async def test_requeue_of_all_ends_although_what_it_gives_back_dies_again(bench) -> None:
    """It takes the dead letters of the moment when it began, and no later ones."""
    handled: list[str] = []

    async def fails(session_id: str) -> None:
        handled.append(session_id)
        raise ValueError("still no account")

    broker = await bench.serving(("sale_closed", fails), max_attempts=1)
    bus = broker.scoped("caisse", emits=[SaleClosed])
    for number in range(30):
        await bus.emit("sale_closed", session_id=str(number))
    await bench.settled()
    await bench.until(lambda: len(bench.journal.of("dead")) == 30)
    assert (await broker.dead_letters.requeue_all(Which())).done == 30
    await bench.until(lambda: len(bench.journal.of("dead")) == 60)
    await bench.settled()
    assert len(handled) == 60
    assert len(await bench.letters()) == 30


async def test_letters_that_come_while_all_are_gone_through_are_not_among_them(bench) -> None:
    """Else a requeue of what dies at once would never end."""
    for _ in range(150):
        await bury(bench)
    box, seen = DeadLetters(bench.streams, Clock(2000.0)), 0
    async for _ in box.all():
        seen += 1
        await bury(bench)
        assert seen <= 150
    assert seen == 150


async def test_undecodable_letter_that_is_sent_again_reaches_no_other_group(bench) -> None:
    """A copy for one group is another's business, whatever is in it."""

    async def handler(**data: object) -> None: ...

    broker = bench.broker(max_attempts=1)
    broker.scoped("paheko").on("sale_closed", handler)
    broker.scoped("members").on("sale_closed", handler)
    await broker.start()
    broker.consume()
    await bench.raw("sale_closed", {"foo": "bar"})
    await bench.until(lambda: len(bench.journal.of("dead")) == 2)
    await bench.settled()
    await trimmed(bench)
    letters = [letter async for letter in broker.dead_letters.all(group="paheko")]
    assert await broker.dead_letters.requeue(letters[0])
    await bench.until(lambda: len(bench.journal.of("dead")) == 3)
    await bench.settled()
    assert [call[1] for call in bench.journal.of("dead")][2] == "paheko"
    assert sorted(letter.group for letter in await bench.letters()) == ["members", "paheko"]


async def test_poison_in_every_place_blocks_nothing_that_comes_after_it(bench) -> None:
    """More poison than handlers run at once, waiting for retries or dead: what comes after it is handled at once."""
    clock, handled = bench.manual_clock(), []

    async def handler(session_id: str) -> None:
        if session_id.startswith("poison"):
            raise ValueError(session_id)
        handled.append(session_id)

    broker = await bench.serving(("sale_closed", handler), clock=clock, concurrency=2, prefetch=4, max_attempts=2)
    bus = broker.scoped("caisse", emits=[SaleClosed])
    await bench.raw("sale_closed", {"foo": "bar"})
    for number in range(20):
        await bus.emit("sale_closed", session_id=f"poison {number}")
    await bus.emit("sale_closed", session_id="good")
    await bench.until(lambda: handled == ["good"])
    assert clock.now() == bench.manual_clock().now()  # no time has passed: nothing waited for a retry
    clock.advance(60.0)
    await bench.until(lambda: len(bench.journal.of("dead")) == 21)
    await bus.emit("sale_closed", session_id="later")
    await bench.until(lambda: handled == ["good", "later"])
    await bench.settled()


async def test_pages_go_through_all_letters_in_order_each_once(bench) -> None:
    """Whatever dies or is decided between two pages."""
    box = DeadLetters(bench.streams, Clock(2000.0))
    for number in range(5):
        await bury(bench, error=f"E{number}")
    await bury(bench, group="a", error="first")
    await bury(bench, event="z_done", error="last")
    everything = [letter.name async for letter in box.all()]
    assert len(everything) == 7
    seen, after = [], ""
    while True:
        page, after = await box.page(Which(), after=after, limit=2)
        seen += [letter.name for letter in page]
        if not after:
            break
        assert len(page) == 2
        await box.drop(page[-1])
    assert seen == everything
    page, after = await box.page(Which(error="E3"), limit=2)
    assert ([letter.error for letter in page], after) == (["E3"], "")
    page, after = await box.page(Which(group="paheko"), limit=1)
    assert [letter.error for letter in page] == ["E1"]
    with pytest.raises(BusError, match="names no dead letter"):
        await box.page(Which(), after="nonsense")


async def test_page_of_a_filter_that_takes_few_is_bounded_and_goes_on(bench) -> None:
    """A thousand letters are looked at for one page; `after` goes on behind them."""
    await bury(bench)
    key = "dead:{events:sale_closed}:paheko"
    [(_, fields)] = await bench.client.xrange(key)
    pipe = bench.client.pipeline(transaction=False)
    for _ in range(1500):
        pipe.xadd(key, fields)
    pipe.xadd(key, {**fields, b"error": b"needle"})
    await pipe.execute()
    box = DeadLetters(bench.streams, Clock(2000.0))
    page, after = await box.page(Which(error="needle"))
    assert page == []
    page, after = await box.page(Which(error="needle"), after=after)
    assert ([letter.error for letter in page], after) == (["needle"], "")


async def test_one_letter_is_shown_whole(bench) -> None:
    """Payload, envelope, error, traceback, attempts and times; nothing of it is lost on the way to JSON."""
    clock = bench.manual_clock()

    async def fails(session_id: str) -> None:
        raise ValueError(f"no account for {session_id}")

    broker = await bench.serving(("sale_closed", fails), clock=clock, max_attempts=2, backoff=5.0)
    started = clock.now()
    event_id = await broker.scoped("caisse", emits=[SaleClosed]).emit("sale_closed", session_id="é")
    await bench.until(lambda: bench.journal.of("failed") and not broker.busy)
    clock.advance(5.0)
    await bench.until(lambda: bench.journal.of("dead"))
    await bench.settled()
    [letter] = await bench.letters()
    whole = described(await broker.dead_letters.named(letter.name))
    assert whole["data"] == {"session_id": "é"}
    assert (whole["envelope"]["id"], whole["envelope"]["source"]) == (event_id, "caisse")
    assert whole["error"] == whole["previous_error"] == "ValueError: no account for é"
    assert "in fails" in whole["traceback"]
    assert (whole["attempts"], whole["first_failed_at"], whole["dead_at"]) == (2, started, started + 5.0)
    assert whole["fields"]["type"] == "sale_closed"
    for name in ("sale_closed/paheko/1-1", "sale_closed/nobody/" + letter.id, "a/b", f"a/b/{letter.id}/c", "a/b/1"):
        with pytest.raises(BusError, match="dead letter"):
            await broker.dead_letters.named(name)


async def test_foreign_letter_is_shown_with_its_raw_fields(bench) -> None:
    """It has no envelope; bytes that are no text are shown as escapes."""
    await bury(bench, fields={b"foo": b"\xff"})
    [letter] = await bench.streams.dead_letters(PAIR)
    whole = described(letter)
    assert (whole["envelope"], whole["data"], whole["fields"]) == (None, None, {"foo": "\\xff"})


async def test_events_tell_what_waits_for_whom(bench) -> None:
    """Counted exactly: unread, pending, scheduled, dead; and the oldest entry that a group has not acked."""
    await bench.streams.ensure_groups([PAIR, ("sale_closed", "stopped")])
    await bury(bench)
    entries = [await bench.streams.append("sale_closed", {"n": b"1"}) for _ in range(5)]
    [read] = await bench.streams.read("c", [(PAIR, 3)])
    retry = {"due": 9e9, "attempt": 1, "error": "", "now": 0.0}
    await bench.streams.schedule_retry(PAIR, "c", read[0].id, **retry)
    await bench.streams.ack("c", [(PAIR, (read[1].id,))])
    await bench.client.xdel("events:sale_closed", entries[4])
    await bench.client.set("events:alien", "not a stream")
    [state] = await bench.streams.events()
    assert [await bench.streams.events("sale_closed"), await bench.streams.events("nothing")] == [[state], []]
    assert (state.event, state.length, state.copies, state.replays) == ("sale_closed", 5, 0, {})
    paheko, stopped = state.groups["paheko"], state.groups["stopped"]
    assert (paheko.exists, paheko.unread, paheko.pending, paheko.retrying, paheko.dead) == (True, 1, 2, 1, 1)
    assert (paheko.oldest_unacked, paheko.consumers) == (entries[0], 1)
    assert (stopped.unread, stopped.pending, stopped.dead, stopped.consumers) == (5, 0, 0, 0)
    await bench.client.delete("events:sale_closed")
    [state] = await bench.streams.events()
    assert state.dead == {"paheko": 1}
    assert (state.groups["paheko"].exists, state.groups["paheko"].unread) == (False, 0)


async def test_forgotten_group_is_gone_with_all_that_was_its_own_and_nothing_else(bench) -> None:
    """Its retries, attempts, dead letters and replay too; another's stay."""
    other = ("sale_closed", "members")
    for pair in (PAIR, other):
        await bury(bench, *pair)
        entry_id = await bench.streams.append("sale_closed", {"n": b"1"})
        await bench.streams.read("c", [(PAIR, 10), (other, 10)])
        retry = {"due": 9e9, "attempt": 1, "error": "", "now": 0.0}
        await bench.streams.schedule_retry(pair, "c", entry_id, **retry)
        await bench.streams.begin_replay(pair, "0-0", "+", {"since": "1.0"})
    assert await bench.streams.forget(PAIR)
    assert not await bench.streams.forget(PAIR)
    keys = {key.decode() async for key in bench.client.scan_iter()}
    assert keys == {
        "events:sale_closed",
        "dead:{events:sale_closed}:members",
        "retry:{events:sale_closed}:members",
        "attempts:{events:sale_closed}:members",
        "replays:{events:sale_closed}",
    }
    [state] = await bench.streams.events()
    assert list(state.groups) == list(state.replays) == ["members"]
    assert not await bench.streams.forget(("never_happened", "nobody"))
