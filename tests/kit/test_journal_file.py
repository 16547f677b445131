"""The journal on disk: written record by record, read whatever became of it, printed by the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recyclic.cli import build
from recyclic.core.events.event import Envelope
from recyclic.testing import boot_modules
from recyclic.testing.errors import KitError
from recyclic.testing.journal import Journal
from recyclic.testing.journal_file import JournalFile, read_journal
from recyclic.testing.timeline import timeline

KILLED = Path(__file__).with_name("killed_host.py")
HEADING = {"of": "test_till.py::test_close", "backend": "fake", "began": "2025-09-17", "rerun": "pytest test_till.py"}


def envelope(event: str = "sale_closed", event_id: str = "e1", **data) -> Envelope:
    time = datetime(2025, 9, 17, 8, 30, tzinfo=UTC)
    ids = {"correlation_id": "r1", "causation_id": "r1", "subject": "a", "traceparent": "00-1-2-01"}
    return Envelope(id=event_id, event=event, source="caisse", time=time, version=2, data=data, replayed=True, **ids)


def fail():
    raise ConnectionError("accounting is away")


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "folder" / "journal.jsonl"


@pytest.fixture
def journal(file) -> Journal:
    """A journal with something of everything, and still open."""
    journal = Journal(lambda: 100.0, JournalFile(file, lambda: HEADING))
    sale = envelope(session_id="a", odd="\ud800 é \n", big=2**70)
    journal.click("click button 'Clore'")
    journal.stored(sale)
    journal.emitted(sale, "1-0")
    journal.delivered(sale, "paheko", "paheko_sync", 1)
    try:
        fail()
    except ConnectionError as error:
        journal.failed(sale, "paheko", "paheko_sync", 1, error, 0.0)
    journal.dead("1-0", "sale_closed", "paheko", "paheko_sync", 1, "no attempt is left")
    journal.settled("sale_closed", "paheko_sync", "1-0")
    journal.note("the end")
    return journal


def test_what_was_written_is_read_again(journal, file):
    journal.file.close()
    found = read_journal(file)
    assert (found.damages, found.ended) == ([], True)
    assert {name: found.heading[name] for name in HEADING} == HEADING
    assert len(found.records) == len(journal.records)
    for read, written in zip(found.records, journal.records, strict=True):
        assert (read.seq, read.kind, read.envelope) == (written.seq, written.kind, written.envelope)
        assert read.retry_in == written.retry_in
    assert timeline(found.records) == timeline(journal.records)
    assert any(
        "ConnectionError: accounting is away at tests/kit/test_journal_file.py:" in x for x in timeline(found.records)
    )


def test_each_record_is_there_as_soon_as_it_is_written(journal, file):
    before = len(read_journal(file).records)
    journal.note("one more")
    found = read_journal(file)
    assert (len(found.records), found.records[-1].text) == (before + 1, "one more")
    assert not found.ended


def test_without_records_there_is_no_file(file):
    JournalFile(file, lambda: HEADING).close()
    assert not file.parent.exists()


DAMAGES = [
    (b"rubbish\n", "no record: Expecting value: line 1 column 1 (char 0)"),
    (b"\n", "no record: Expecting value: line 2 column 1 (char 1)"),
    (b"[]\n", "no record: list, not an object"),
    (b"\xff\xfe\n", "no record: not UTF-8"),
    (b'{"seq":1}\n', "no record: it has no 'at'"),
    (b'{"seq":1,"at":0,"kind":"eaten"}\n', "no record: 'eaten' is not a valid Kind"),
    (b'{"seq":1,"at":0,"kind":"note","text":5}\n', "no record: text is 5"),
    (b'{"seq":1,"at":0,"kind":"note","envelope":{}}\n', "no record: it has no 'data'"),
    (b'{"journal":9}\n', "no record: a journal of version 9; this recyclic reads version 1"),
    (b"[" * 100_000 + b"\n", "no record: maximum recursion depth exceeded"),
]


@pytest.mark.parametrize(("line", "problem"), DAMAGES)
def test_a_damaged_line_is_named_and_the_others_are_read(journal, file, line, problem):
    journal.file.close()
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:3], line, *lines[3:]]))
    found = read_journal(file)
    assert [str(damage).partition(" while")[0] for damage in found.damages] == [f"line 4: {problem}"]
    assert not found.damages[0].torn
    assert len(found.records) == len(journal.records)


def test_a_last_line_that_was_cut_off_at_any_byte_costs_only_itself(journal, file):
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in range(1, len(lines[-1]) - 1):
        file.write_bytes(whole[: -cut - 1])
        found = read_journal(file)
        assert [str(one) for one in found.damages] == [
            f"line {len(lines)}: cut off in the middle: its process died while it wrote"
        ]
        assert found.damages[0].torn
        assert len(found.records) == len(journal.records) - 1


def test_a_journal_that_cannot_be_written_says_so_once_and_fails_nothing(tmp_path):
    (tmp_path / "folder").touch()
    journal = Journal(lambda: 0.0, JournalFile(tmp_path / "folder" / "journal.jsonl", lambda: HEADING))
    journal.note("one")
    journal.note("two")
    assert [record.text for record in journal.records] == ["one", "two"]
    assert journal.file.problem.startswith(f"the journal {journal.file.path} cannot be written: ")


def test_a_disk_that_is_full_is_told(monkeypatch, journal):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("recyclic.testing.journal_file.os.write", full)
    journal.note("one more")
    assert journal.file.problem.endswith("could not be written to its end: [Errno 28] No space left on device")


def test_what_is_no_file_cannot_be_read(tmp_path):
    with pytest.raises(KitError, match="cannot be read: Is a directory"):
        read_journal(tmp_path)


async def test_a_booted_host_writes_its_journal(file):
    async with boot_modules("caisse", journal=file) as host:
        async with host.act() as trace:
            await host.http.get("/api/modules/caisse/sessions")
        lines = timeline(trace.records)
        assert timeline(read_journal(file).records) == lines
    assert read_journal(file).ended


@pytest.fixture
def recyclic():
    """Run `recyclic …` in this process."""
    runner = CliRunner()

    def run(*args: str):
        return runner.invoke(build(), list(args))

    return run


def test_the_command_prints_the_timeline(recyclic, journal, file):
    journal.file.close()
    done = recyclic("events", "journal", str(file))
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "journal of test_till.py::test_close, on fake, began 2025-09-17:",
        *timeline(journal.records),
        "rerun: pytest test_till.py",
    ]


def test_the_command_names_damaged_lines_and_ends_with_1(recyclic, journal, file):
    file.write_bytes(file.read_bytes() + b'rubbish\n{"seq":1,"at":0,"ki')
    done = recyclic("events", "journal", str(file))
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-5:] == [
        "the host did not end: its process was killed, or still runs",
        "damaged:",
        "  line 10: no record: Expecting value: line 1 column 1 (char 0)",
        "  line 11: cut off in the middle: its process died while it wrote",
        "rerun: pytest test_till.py",
    ]


def test_the_command_prints_json(recyclic, journal, file):
    file.write_bytes(file.read_bytes() + b'{"seq":1,"at":0,"ki')
    done = recyclic("events", "journal", str(file), "--format", "json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert told["heading"]["of"] == "test_till.py::test_close"
    assert [one["kind"] for one in told["records"]] == [record.kind.value for record in journal.records]
    assert told["records"][4]["error"]["type"] == "ConnectionError"
    assert told["damaged"] == [
        {"line": 10, "problem": "cut off in the middle: its process died while it wrote", "torn": True}
    ]
    assert told["ended"] is False


@pytest.mark.parametrize("content", [b"", b"\n", b"\x00" * 10_000, bytes(range(256)) * 100])
def test_the_command_crashes_at_no_file(recyclic, tmp_path, content):
    file = tmp_path / "any"
    file.write_bytes(content)
    done = recyclic("events", "journal", str(file))
    assert done.exit_code in {0, 1}
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert done.stdout.splitlines()[:2] == [f"journal {file}:", "  nothing happened"]


@pytest.mark.slow
def test_the_journal_survives_a_kill_9(recyclic, file):
    """A real process, killed in the middle of a handler: everything up to there is in the file."""
    with subprocess.Popen([sys.executable, str(KILLED), str(file)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "working\n"
        process.kill()
        assert process.wait(30) == -9
    with file.open("ab") as torn:
        torn.write(file.read_bytes().splitlines()[-1][:25])  # what a write leaves that was cut off
    done = recyclic("events", "journal", str(file))
    assert done.exit_code == 0
    assert done.stdout.splitlines()[1:] == [
        "  +0 s      test emitted sale_closed {session_id: 'first'}",
        "  +0 s        books got sale_closed, attempt 1 → ok",
        "  +0 s      test emitted sale_closed {session_id: 'last'}",
        "  +0 s        books got sale_closed, attempt 1 → still running",
        "the host did not end: its process was killed, or still runs",
        "damaged:",
        "  line 8: cut off in the middle: its process died while it wrote",
    ]
