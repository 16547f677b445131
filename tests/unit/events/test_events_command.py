"""`recyclic events`: the bus as an operator sees it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
import typer
from typer.testing import CliRunner, Result

from recyclic.cli import events as command
from recyclic.cli.events_options import seconds
from recyclic.core.events.broker import Broker, BrokerSettings
from recyclic.core.events.event import Event
from recyclic.core.events.streams import RedisStreams
from recyclic.core.redis import connect
from recyclic.core.redis_process import spawn_server
from recyclic.errors import BusError

pytestmark = pytest.mark.slow  # a server for each test


class SaleClosed(Event):
    """A till was closed."""

    session_id: str


async def play(url: str) -> None:
    """Emit three sales; the accounting fails for two of them."""
    client = connect(url)
    streams = RedisStreams(client)
    broker = Broker(streams, settings=BrokerSettings(max_attempts=1))

    async def handler(session_id: str) -> None:
        if session_id != "good":
            raise ValueError(f"no account for {session_id}")

    bus = broker.scoped("caisse", emits=[SaleClosed])
    broker.scoped("paheko").on("sale_closed", handler)
    await broker.start()
    broker.consume()
    for session in ("good", "bad", "é"):
        await bus.emit("sale_closed", session_id=session)
    while not (await broker.snapshot()).settled:
        await streams.ping()
        await asyncio.sleep(0)  # give way to the bus
    await broker.close()
    await streams.close()
    await client.aclose()


@pytest.fixture
def shop(tmp_path: Path):
    """Return the URL of a shop's Redis."""
    server = spawn_server(tmp_path / "redis", persistent=False)
    yield server.url
    server.stop()


@pytest.fixture
def events(tmp_path: Path, shop: str, monkeypatch: pytest.MonkeyPatch):
    """Run `recyclic events …` in a shop with two dead letters."""
    (tmp_path / "config.toml").write_text(f'[modules]\nenabled = []\n[redis]\nurl = "{shop}"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RECYCLIC_CONFIG", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    asyncio.run(play(shop))
    app = typer.Typer()
    command.register(app)

    def run(*arguments: str, **options: str) -> Result:
        return CliRunner().invoke(app, ["events", *arguments], **options)

    root, configured = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield run
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**configured)


def parsed(result: Result) -> list[dict]:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def letters(run) -> list[dict]:
    return parsed(run("dead", "--json"))


def test_list_shows_streams_groups_and_dead_letters(events) -> None:
    """One row for each event and group."""
    rows = parsed(events("list", "--json"))
    expected = {"event": "sale_closed", "entries": 3, "group": "paheko", "unread": 0, "pending": 0}
    assert rows == [{**expected, "retrying": 0, "dead": 2, "unacked_from": None}]
    assert "sale_closed" in events("list").stdout


def test_dead_tells_what_failed_and_why(events) -> None:
    """With the traceback where it is asked for."""
    assert [letter["data"] for letter in letters(events)] == [{"session_id": "bad"}, {"session_id": "é"}]
    text = events("dead").stdout
    assert "ValueError: no account for é" in text
    assert "2 dead letters" in text
    assert "Traceback" not in text
    assert "Traceback" in events("dead", "--traceback").stdout
    assert "0 dead letters" in events("dead", "--event", "member_created").stdout


def test_requeue_gives_back_what_is_named_or_all(events) -> None:
    """And nothing where one of the names is unknown."""
    first, second = (letter["name"] for letter in letters(events))
    with pytest.raises(BusError, match="no such dead letter"):
        events("requeue", first, "sale_closed/paheko/1-1", catch_exceptions=False)
    assert len(letters(events)) == 2
    assert "1 requeued" in events("requeue", first).stdout
    assert [letter["name"] for letter in letters(events)] == [second]
    assert "1 requeued" in events("requeue", "--all", "--group", "paheko").stdout
    assert letters(events) == []
    assert parsed(events("list", "--json"))[0]["retrying"] == 2


def test_drop_asks_first(events) -> None:
    """No is no; yes deletes for good."""
    assert events("drop", "--all", input="n\n").exit_code == 1
    assert len(letters(events)) == 2
    assert "2 dropped" in events("drop", "--all", "--yes").stdout
    assert letters(events) == []


def test_naming_nothing_is_an_error(events) -> None:
    """It could mean all, or none."""
    with pytest.raises(BusError, match="--all"):
        events("requeue", catch_exceptions=False)


def test_show_tells_one_letter_whole(events) -> None:
    """As text and as JSON; an unknown one is an error."""
    _, name = (letter["name"] for letter in letters(events))
    text = events("show", name).stdout
    for part in (name, "ValueError: no account for é", "Traceback", "attempts:", "source:", "dead since:", '"é"'):
        assert part in text, part
    whole = parsed(events("show", name, "--json"))
    assert (whole["data"], whole["envelope"]["source"], whole["attempts"]) == ({"session_id": "é"}, "caisse", 1)
    with pytest.raises(BusError, match="no such dead letter"):
        events("show", "sale_closed/paheko/1-1", catch_exceptions=False)


def test_filters_narrow_what_is_listed_requeued_and_dropped(events) -> None:
    """By error text and by age; JSON tells how many."""
    assert len(parsed(events("dead", "--json", "--error", "FOR BAD"))) == 1
    assert parsed(events("dead", "--json", "--older-than", "1h")) == []
    assert len(parsed(events("dead", "--json", "--younger-than", "1h"))) == 2
    done = parsed(events("requeue", "--all", "--error", "for bad", "--json"))
    assert done == {"requeued": 1, "problems": []}
    done = parsed(events("drop", "--all", "--younger-than", "1h", "--yes", "--json"))
    assert done == {"dropped": 1, "problems": []}
    with pytest.raises(BusError, match="this is no age"):
        events("dead", "--older-than", "yesterday", catch_exceptions=False)


@pytest.mark.parametrize(
    ("age", "expected"), [("90", 90), ("1.5m", 90), ("2h", 7200), ("7D", 604_800), ("1w", 604_800)]
)
def test_ages_are_read_as_users_write_them(age, expected) -> None:
    """Seconds without a unit."""
    assert seconds(age) == expected


def test_forget_asks_first_and_says_what_would_be_lost(events) -> None:
    """No is no; yes forgets the group with its dead letters; an unknown one is an error."""
    refused = events("forget", "paheko", input="n\n")
    assert refused.exit_code == 1
    assert "sale_closed: 0 unread, 0 pending, 2 dead letters" in refused.stdout
    assert len(letters(events)) == 2
    with pytest.raises(BusError, match="no group 'paheko' of till_opened"):
        events("forget", "paheko", "--event", "till_opened", "--yes", catch_exceptions=False)
    assert "1 forgotten" in events("forget", "paheko", "--event", "sale_closed", "--yes").stdout
    assert letters(events) == []
    assert [row["group"] for row in parsed(events("list", "--json"))] == [""]
    with pytest.raises(BusError, match="there is no group 'paheko'"):
        events("forget", "paheko", "--yes", catch_exceptions=False)


def on(url: str, work) -> None:
    """Do something with the streams of a shop."""

    async def run() -> None:
        client = connect(url)
        streams = RedisStreams(client)
        await work(streams)
        await streams.close()
        await client.aclose()

    asyncio.run(run())


def test_group_of_an_enabled_module_is_not_forgotten(events, shop) -> None:
    """Its host would create it again, and get the whole history anew; of an event it no longer consumes, it is."""
    text = Path("config.toml").read_text().replace("enabled = []", 'enabled = ["caisse", "paheko"]')
    Path("config.toml").write_text(text)
    named = [("sale_closed", "paheko_sync"), ("sale_closed", "paheko_sync.stats"), ("till_opened", "paheko_sync")]
    on(shop, lambda streams: streams.ensure_groups(named))
    for group in ("paheko_sync", "paheko_sync.stats"):
        with pytest.raises(BusError, match="paheko is enabled and consumes it"):
            events("forget", group, "--yes", catch_exceptions=False)
    assert "1 forgotten" in events("forget", "paheko_sync", "--event", "till_opened", "--yes").stdout
    assert "1 forgotten" in events("forget", "paheko", "--yes").stdout  # no module's
    groups = [(row["event"], row["group"]) for row in parsed(events("list", "--json"))]
    assert groups == [*named[:2], ("till_opened", "")]


def exported(events, name: str, *options: str) -> list[dict]:
    result = events("export", "--output", name, *options)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in Path(name).read_text(encoding="utf-8").splitlines()]


def test_export_writes_json_lines_to_a_new_file_or_to_standard_output(events) -> None:
    """Whole or not at all: an existing file is left alone, and nothing half-written has its name."""
    found = exported(events, "sales.jsonl")
    assert [line["data"]["session_id"] for line in found] == ["good", "bad", "é"]
    result = events(
        "export", "--event", "sale_closed", "--from-id", found[1]["entryid"], "--to-id", found[1]["entryid"]
    )
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == [found[1]["id"]]
    assert "1 events, 0 of them unreadable" in result.stderr
    assert exported(events, "later.jsonl", "--since", "2100-01-01") == []
    with pytest.raises(BusError, match="such a file already"):
        events("export", "--output", "sales.jsonl", catch_exceptions=False)
    with pytest.raises(BusError, match="belongs to no group"):
        events("export", "--group", "paheko", catch_exceptions=False)
    with pytest.raises(BusError, match="cannot be written"):
        events("export", "--output", "nowhere/sales.jsonl", catch_exceptions=False)
    assert not list(Path().glob("**/*.part"))


def test_dead_letters_are_exported_and_imported_again(events) -> None:
    """Dropped by mistake: the file brings them back."""
    before = letters(events)
    assert [line["deaderror"] for line in exported(events, "dead.jsonl", "--dead", "--group", "paheko")] == [
        letter["error"] for letter in before
    ]
    events("drop", "--all", "--yes")
    assert "2 imported, 2 have a new entry id" in events("import", "dead.jsonl", "--yes").stdout
    after = letters(events)
    assert [letter["name"] for letter in after] != [letter["name"] for letter in before]
    for same in ("entry", "error", "traceback", "attempts", "data"):
        assert [letter[same] for letter in after] == [letter[same] for letter in before]
    exported(events, "again.jsonl", "--dead")
    assert "0 imported, 2 were there already" in events("import", "again.jsonl", "--yes").stdout


def test_import_to_a_group_and_into_the_streams(events) -> None:
    """The streams ask first, for every group would get it; a dry run changes nothing."""
    exported(events, "sales.jsonl")
    told = parsed(events("import", "sales.jsonl", "--group", "paheko", "--dry-run", "--json"))
    assert (told["sent"], told["damages"]) == (3, 0)
    assert parsed(events("list", "--json"))[0]["unread"] == 0
    assert "3 imported" in events("import", "sales.jsonl", "--group", "paheko").stdout
    assert parsed(events("list", "--json"))[0]["unread"] == 3
    assert events("import", "sales.jsonl", input="n\n").exit_code == 1
    assert "0 imported, 3 were there already" in events("import", "sales.jsonl", input="y\n").stdout


def test_import_of_a_damaged_file_imports_nothing_unless_told_so(events) -> None:
    """The error names every line; with --skip-damaged the others are imported, and it is still an error."""
    exported(events, "sales.jsonl")
    lines = Path("sales.jsonl").read_bytes().splitlines()
    Path("sales.jsonl").write_bytes(b"\n".join([lines[0], b"{", lines[1], b"[]", lines[2]]))
    with pytest.raises(BusError) as told:
        events("import", "sales.jsonl", "--group", "paheko", catch_exceptions=False)
    assert [problem.where for problem in told.value.problems] == ["sales.jsonl, line 2", "sales.jsonl, line 4"]
    assert parsed(events("list", "--json"))[0]["unread"] == 0
    with pytest.raises(BusError, match="line 4"):
        events("import", "sales.jsonl", "--group", "paheko", "--skip-damaged", catch_exceptions=False)
    assert parsed(events("list", "--json"))[0]["unread"] == 3
    told = parsed(events("import", "sales.jsonl", "--group", "paheko", "--from-line", "5", "--json"))
    assert (told["sent"], told["lines"]) == (1, 5)


def test_replay_counts_sends_and_refuses_what_makes_no_sense(events) -> None:
    """To one group, by time and id, at a rate; a dry run sends nothing."""
    of = ("--event", "sale_closed", "--group", "paheko")
    assert events("replay", *of, "--dry-run").stdout.strip() == "3 to send"
    assert parsed(events("list", "--json"))[0]["unread"] == 0
    assert events("replay", *of, "--rate", "0", "--until", "2100-01-01").stdout.strip() == "3 sent"
    assert events("replay", *of, "--since", "2100-01-01").stdout.strip() == "0 sent"
    told = parsed(events("replay", *of, "--dry-run", "--json"))
    assert (told["sent"], told["copies"]) == (3, 3)
    with pytest.raises(BusError, match="no group 'pahko'"):
        events("replay", "--event", "sale_closed", "--group", "pahko", catch_exceptions=False)
    with pytest.raises(BusError, match="do not go together"):
        events("replay", *of, "--resume", "--since", "2026-01-01", catch_exceptions=False)
    for what in ("--resume", "--abandon"):
        with pytest.raises(BusError, match="no replay to this group"):
            events("replay", *of, what, catch_exceptions=False)


@pytest.mark.slow  # a process of its own
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_replay_says_how_to_go_on_and_goes_on(events, shop, how) -> None:
    """Ctrl-C or kill -9 in the middle: a real process, a real signal; the list tells where it stands."""
    of = ("--event", "sale_closed", "--group", "paheko")
    code = "from recyclic.cli import main; main()"
    command = [sys.executable, "-c", code, "events", "replay", *of, "--rate", "0.01"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not any(state["unread"] for state in parsed(events("list", "--json"))):
        assert running.poll() is None, running.communicate()
    running.send_signal(how)
    out, err = running.communicate(timeout=30)
    if how == signal.SIGINT:
        assert running.returncode == 130, (out, err)
        assert re.search(r"interrupted: (1 sent, up to \d+-\d+; )?go on with --resume", err)
    assert "a replay to paheko stands at" in events("list").stdout
    assert events("replay", *of, "--resume", "--rate", "0").stdout.strip() == "2 sent"
    assert parsed(events("list", "--json"))[0]["unread"] == 3
    assert "stands at" not in events("list").stdout


def test_replay_can_be_given_up(events, shop) -> None:
    """What was sent stays; the stream is held no more."""
    of = ("--event", "sale_closed", "--group", "paheko")

    on(shop, lambda streams: streams.begin_replay(("sale_closed", "paheko"), "0-0", "+", {}))
    with pytest.raises(BusError, match="runs, or was interrupted"):
        events("replay", *of, catch_exceptions=False)
    assert events("replay", *of, "--abandon").stdout.strip() == "given up at 0-0: 0 were sent"
    assert events("replay", *of, "--rate", "0").stdout.strip() == "3 sent"
