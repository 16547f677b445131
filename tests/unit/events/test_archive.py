"""Export to JSON Lines and back, on every Redis: nothing left out silently, ids preserved, damaged lines told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recyclic.core.clock import SystemClock
from recyclic.core.events.archive import Asked, Export, Import
from recyclic.core.events.archive_line import letter_fields, read_line, write_dead_line, write_line
from recyclic.core.events.dead_letters import Which
from recyclic.core.events.entries import DeadLetter, Entry
from recyclic.core.events.history import Window
from recyclic.errors import BusError, EventError
from tests.unit.events.shop_year import DAY, EVENT, PAIR, Module, a_year, envelope, serving

pytestmark = pytest.mark.slow  # long histories and generated entries


async def exported(bench, file: Path, window: Window | None = None, event: str | None = None) -> Export:
    export = Export(bench.streams, SystemClock())
    with file.open("wb") as out:
        async for line in export.history(window or Window(), event):
            out.write(line)
    return export


async def entries(bench, key: str = f"events:{EVENT}") -> list:
    return await bench.client.xrange(key)


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


async def test_export_has_one_cloud_event_a_line(bench, tmp_path) -> None:
    """Its attributes, its data as JSON, and the id of its entry; ours are the only names beside CloudEvents'."""
    [entry_id] = await a_year(bench, 1)
    export = await exported(bench, tmp_path / "out")
    [line] = lines(tmp_path / "out")
    assert line == {
        "specversion": "1.0",
        "id": "event-0",
        "source": "caisse",
        "type": EVENT,
        "time": line["time"],
        "datacontenttype": "application/json",
        "dataschema": "recyclic:sale_closed/1",
        "data": {"number": 0},
        "entryid": entry_id,
    }
    assert line["time"].startswith("20")
    assert (export.told.events, export.told.unreadable, export.told.copies) == (1, 0, 0)


async def test_export_and_import_restore_every_stream_under_its_ids(bench, tmp_path) -> None:
    """What is unreadable too, byte for byte; a second import finds everything there and changes nothing."""
    await a_year(bench, 700)
    good = envelope(1, 1.0).encode()
    large = b'{"number":\n 12345678901234567890123}'
    await bench.client.xadd(f"events:{EVENT}", {b"foo": b"\xff\x00", b"\xfe": b"bar"})
    await bench.client.xadd(f"events:{EVENT}", {**good, "data": large})
    await bench.client.xadd(f"events:{EVENT}", {**good, "Strange Name": b"x", "entryid": b"9-9"})
    await bench.client.xadd(f"events:{EVENT}", {**good, "deadline": b"x"})
    await bench.client.xadd("events:till_opened", {**good, "type": b"till_opened", "subject": b"t"})
    before, other = await entries(bench), await entries(bench, "events:till_opened")
    export = await exported(bench, tmp_path / "out")
    assert (export.told.events, export.told.unreadable) == (705, 3)
    await bench.client.flushall()
    told = await Import(bench.streams, SystemClock(), tmp_path / "out").run()
    assert (told.restored, told.renumbered, told.there, told.damages, told.lines) == (705, 0, 0, 0, 705)
    restored = await entries(bench)
    assert restored[:701] + restored[702:] == before[:701] + before[702:]
    assert restored[701][1][b"data"] == b'{"number":12345678901234567890123}'
    assert await entries(bench, "events:till_opened") == other
    told = await Import(bench.streams, SystemClock(), tmp_path / "out").run()
    assert (told.restored, told.there) == (0, 705)
    assert await entries(bench) == restored


async def test_import_into_a_stream_with_later_entries_appends_and_says_so(bench, tmp_path) -> None:
    """The events keep their own ids; entry ids only grow in Redis."""
    await a_year(bench, 3)
    await exported(bench, tmp_path / "out")
    await bench.client.flushall()
    await bench.streams.append(EVENT, {"foo": b"bar"})
    told = await Import(bench.streams, SystemClock(), tmp_path / "out").run()
    assert (told.restored, told.renumbered) == (3, 3)
    assert [fields.get(b"id") for _, fields in await entries(bench)] == [None, b"event-0", b"event-1", b"event-2"]


async def test_restored_events_reach_the_groups_that_have_not_had_them(bench, tmp_path) -> None:
    """After a total loss the modules get their history from the file; not marked, for it is no replay."""
    await a_year(bench, 20)
    await exported(bench, tmp_path / "out")
    await bench.client.flushall()
    paheko = Module()
    await serving(bench, paheko=paheko)
    told = await Import(bench.streams, SystemClock(), tmp_path / "out").run()
    assert told.lines == 20
    await bench.until(lambda: len(paheko.seen) == 20)
    await bench.settled()
    assert paheko.numbers == list(range(20))
    assert not any(replayed for _, _, replayed in paheko.seen)


async def test_import_to_one_group_reaches_it_alone_as_a_replay(bench, tmp_path) -> None:
    """With the ids that the events had; other groups ack it unseen."""
    await a_year(bench, 20)
    await exported(bench, tmp_path / "out")
    await bench.client.flushall()
    paheko, members = Module(), Module()
    await serving(bench, paheko=paheko, members=members)
    asked = Asked(group="paheko")
    told = await Import(bench.streams, SystemClock(), tmp_path / "out", asked).run()
    await bench.until(lambda: len(paheko.seen) == 20)
    await bench.settled()
    assert (told.sent, told.restored) == (20, 0)
    assert sorted(paheko.seen) == [(number, f"event-{number}", True) for number in range(20)]
    assert members.seen == []
    found = await bench.streams.trim(EVENT, 1, exact=True)
    assert (found.copies, found.length) == (0, 0)


async def test_import_to_a_group_that_does_not_exist_is_refused(bench, tmp_path) -> None:
    """The line is named, so that one can go on there."""
    await a_year(bench, 2)
    await exported(bench, tmp_path / "out")
    work = Import(bench.streams, SystemClock(), tmp_path / "out", Asked(group="pahko"))
    with pytest.raises(BusError, match="line 1: the event has no group 'pahko'"):
        await work.run()
    assert (work.told.lines, len(await entries(bench))) == (0, 2)


async def test_damaged_lines_are_told_with_their_numbers_and_the_rest_is_imported(bench, tmp_path) -> None:
    """Each with what is wrong; blank lines are none; beyond a hundred they are counted."""
    await a_year(bench, 3)
    await exported(bench, tmp_path / "out")
    good = (tmp_path / "out").read_bytes().splitlines()
    whole = json.loads(good[0])
    far = f"{(int(time.time()) + 400 * DAY) * 1000}-0"

    def but(**changes) -> bytes:
        changed = {key: value for key, value in {**whole, **changes}.items() if value is not None}
        return json.dumps(changed).encode()

    damaged = {
        b"{": "not JSON",
        b"[1]": "not a JSON object",
        b"\xff\xfe": "not JSON",
        b"[" * 100_000: "not JSON",
        but(type=None): "not an event's name",
        but(type="Sale Closed"): "not an event's name",
        but(id=None): "no field 'id'",
        but(data=[1]): "not a JSON object",
        but(time="yesterday"): "cannot be read",
        but(entryid="x"): "not an entry id",
        but(entryid=far): "lies in the future",
        but(source=["x"]): "is not a text",
        b'{"unreadable": "x", "event": "sale_closed"}': "neither an event nor raw fields",
        b'{"unreadable": "x", "event": "sale_closed", "fields": {}}': "no fields",
        b'{"unreadable": "x", "event": "sale_closed", "fields": {"a": 1}}': "raw fields cannot be read",
        but(deadid="1-1"): "deadgroup: Field required",
        but(deadid="x", deadgroup="g", deadreason="r", deadat="2026-01-01T00:00:00Z"): "no entry id",
        but(deadid="1-1", deadgroup="g", deadreason="r", deadat="x"): "deadat",
        but(**{f"x{number}": "" for number in range(4000)}): "more than 3500 fields",
    }
    file = tmp_path / "mixed"
    file.write_bytes(b"\n".join([good[0], b"", *damaged, good[1], b"   ", *[b"{"] * 200, good[2]]))
    await bench.client.flushall()
    work = Import(bench.streams, SystemClock(), file)
    checked = work.check()
    assert (checked.restored, checked.damages) == (3, len(damaged) + 200)
    assert await bench.client.keys() == []
    told = await work.run()
    assert (told.restored, told.damages, len(told.damaged)) == (3, len(damaged) + 200, 100)
    for number, (problem, expected) in enumerate(zip(told.damaged, damaged.values(), strict=False), start=3):
        assert problem.where == f"{file}, line {number}"
        assert expected in problem.what, problem
    assert len(await entries(bench)) == 3


async def test_what_was_not_asked_for_is_left_out_and_counted(bench, tmp_path) -> None:
    """By event, by time, and before the line to go on at."""
    ids = await a_year(bench, 10)
    await bench.client.xadd("events:till_opened", {**envelope(2, 1.0).encode(), "type": b"till_opened"})
    at = [int(entry_id.partition("-")[0]) / 1000 for entry_id in ids]
    export = await exported(bench, tmp_path / "out", Window(since=at[2], until=at[8]))
    assert export.told.events == 6
    await exported(bench, tmp_path / "out", event="till_opened")
    assert [line["type"] for line in lines(tmp_path / "out")] == ["till_opened"]
    await exported(bench, tmp_path / "out")
    await bench.client.flushall()
    asked = Asked(event=EVENT, window=Window(since=at[4]), from_line=4)
    told = await Import(bench.streams, SystemClock(), tmp_path / "out", asked).run()
    assert (told.restored, told.left_out) == (6, 2)
    assert [entry_id.decode() for entry_id, _ in await entries(bench)] == ids[4:]


async def test_copies_are_no_history_and_are_counted(bench, tmp_path) -> None:
    """What they are copies of is exported."""
    await a_year(bench, 3)
    await bench.streams.ensure_groups([PAIR])
    await bench.streams.send_copies(PAIR, [{b"a": b"b"}] * 2)
    export = await exported(bench, tmp_path / "out")
    assert (export.told.events, export.told.copies) == (3, 2)
    assert len(lines(tmp_path / "out")) == 3


async def test_dead_letters_are_exported_and_restored_whole(bench, tmp_path) -> None:
    """Errors, tracebacks, attempts, times and what they hold; then requeued as if nothing had been."""
    failing = True
    handled: list[int] = []

    async def handler(number: int) -> None:
        if failing:
            raise ValueError(f"no\naccount for {number}")
        handled.append(number)

    broker = await bench.serving((EVENT, handler), max_attempts=2)
    await a_year(bench, 3)
    await bench.raw(EVENT, {b"foo": b"\xff"})
    await bench.until(lambda: len(bench.journal.of("dead")) == 4)
    await bench.settled()
    letters = await bench.letters()
    file = tmp_path / "dead"
    export = Export(bench.streams, SystemClock())
    with file.open("wb") as out:
        async for line in export.dead_letters(Which(group="paheko"), Window()):
            out.write(line)
    assert export.told.dead == 4
    assert len(lines(file)) == 4
    assert [line async for line in Export(bench.streams, SystemClock()).dead_letters(Which(group="x"), Window())] == []
    await bench.client.flushall()
    told = await Import(bench.streams, SystemClock(), file).run()
    assert (told.restored, told.renumbered) == (4, 0)
    restored = await bench.letters()
    same = ("id", "entry_id", "reason", "error", "previous_error", "traceback", "attempts", "consumer", "fields")
    for before, after in zip(letters, restored, strict=True):
        for name in same:
            assert getattr(before, name) == getattr(after, name), name
        assert before.dead_at == pytest.approx(after.dead_at, abs=1e-5)
        assert before.first_failed_at == pytest.approx(after.first_failed_at, abs=1e-5)
    told = await Import(bench.streams, SystemClock(), file).run()
    assert (told.restored, told.there) == (0, 4)
    failing = False
    for letter in (letter for letter in restored if letter.attempts):
        assert await broker.dead_letters.requeue(letter)
    await bench.until(lambda: len(handled) == 3)
    assert sorted(handled) == [0, 1, 2]


async def test_dead_letters_of_a_file_reach_one_group_as_replayed_events(bench, tmp_path) -> None:
    """And what no handler could take is told as damaged, not sent."""
    paheko = Module()
    await serving(bench, paheko=paheko)
    good = DeadLetter(
        event=EVENT,
        group="other",
        entry_id="1-1",
        reason="x",
        attempts=1,
        dead_at=2.0,
        id="3-1",
        fields={key.encode(): value for key, value in envelope(7, 1.0).encode().items()},
    )
    foreign = DeadLetter(
        event=EVENT, group="other", entry_id="1-2", reason="x", attempts=1, dead_at=2.0, id="3-2", fields={b"a": b"b"}
    )
    file = tmp_path / "dead"
    file.write_bytes(write_dead_line(good) + write_dead_line(foreign))
    told = await Import(bench.streams, SystemClock(), file, Asked(group="paheko")).run()
    await bench.until(lambda: paheko.seen)
    assert paheko.seen == [(7, "event-7", True)]
    assert (told.sent, told.damages) == (1, 1)
    assert "line 2" in str(told.damaged[0])


async def test_import_keeps_to_its_rate_and_tells_how_far_it_came(bench, tmp_path) -> None:
    """Twenty lines at ten a second; the line is where one would go on."""
    clock = bench.manual_clock(time.time())
    await a_year(bench, 20)
    await exported(bench, tmp_path / "out")
    await bench.streams.ensure_groups([PAIR])
    started, steps = clock.now(), []

    def progress(told) -> None:
        steps.append((clock.now() - started, told.lines))

    work = Import(bench.streams, clock, tmp_path / "out", Asked(group="paheko"), rate=10.0, progress=progress)
    running = asyncio.create_task(work.run())
    while not running.done():
        await bench.streams.ping()
        await asyncio.sleep(0)
        if clock._waiting:
            clock.advance(0.05)
    assert (await running).sent == 20
    assert [line for _, line in steps] == list(range(1, 21))
    assert all(line <= at * 10.0 + 1.01 for at, line in steps)
    assert clock.now() - started >= 1.85


async def test_export_of_a_long_history_takes_no_more_memory_than_one_of_a_short(bench, tmp_path) -> None:
    """A page at a time: the peak does not grow with the history."""
    if bench.backend == "fake":
        pytest.skip("an in-process fake keeps the history in this very process")
    peaks = []
    for count in (1500, 12_000):
        await bench.client.flushall()
        pipe = bench.client.pipeline(transaction=False)
        for number in range(count):
            pipe.xadd(f"events:{EVENT}", envelope(number, 1.0).encode())
        await pipe.execute()
        del pipe
        tracemalloc.start()
        try:
            await exported(bench, tmp_path / "out")
            await Import(bench.streams, SystemClock(), tmp_path / "out").run()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5


text = st.text(st.characters(codec="utf-8"), max_size=20)
some_fields = st.one_of(
    st.dictionaries(st.binary(min_size=1, max_size=8), st.binary(max_size=20), min_size=1, max_size=5),
    st.builds(
        lambda number, subject, extra: {
            **{key.encode(): value for key, value in envelope(number, 1.0).encode().items()},
            b"subject": subject.encode(),
            **extra,
        },
        st.integers(-(2**70), 2**70).filter(lambda n: abs(n) < 2**63),
        text,
        st.dictionaries(
            st.sampled_from([b"traceparent", b"dead", b"deadid", b"entryid", b"unreadable", b"fields", b"event", b"X"]),
            text.map(str.encode),
            max_size=3,
        ),
    ),
)


@given(fields=some_fields)
def test_every_entry_comes_back_from_its_line_as_it_was(fields) -> None:
    """Whatever its fields are called and hold."""
    line, _ = write_line(EVENT, Entry.of("17-3", fields))
    assert line.count(b"\n") == 1
    found = read_line(line)
    assert (found.event, found.entry.id, found.entry.fields, found.letter) == (EVENT, "17-3", fields, None)


@given(fields=st.one_of(some_fields, st.just({})), words=st.lists(text, min_size=5, max_size=5))
def test_every_dead_letter_comes_back_from_its_line_as_it_was(fields, words) -> None:
    """Its texts too; times to the microsecond."""
    letter = DeadLetter(
        event=EVENT,
        group=words[0] or "g",
        entry_id="17-3",
        reason=words[1],
        attempts=3,
        dead_at=1_700_000_000.25,
        error=words[2],
        traceback=words[3],
        previous_error=words[4],
        consumer=words[0],
        first_failed_at=1_600_000_000.5,
        fields=fields,
        id="18-0",
    )
    found = read_line(write_dead_line(letter)).letter
    assert found == letter
    assert DeadLetter.decode((EVENT, letter.group), "18-0", letter_fields(letter)) == letter


@given(noise=st.binary(max_size=200))
def test_any_line_is_read_or_refused_with_an_error_of_ours(noise) -> None:
    """Never a crash."""
    with contextlib.suppress(EventError):
        read_line(noise)
