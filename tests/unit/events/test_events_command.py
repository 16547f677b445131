"""`recyclic events`: the bus as an operator sees it."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest
import structlog
import typer
from typer.testing import CliRunner, Result

from recyclic.cli import events as command
from recyclic.core.events.broker import Broker, BrokerSettings
from recyclic.core.events.event import Event
from recyclic.core.events.streams import RedisStreams
from recyclic.core.redis import connect
from recyclic.core.redis_process import spawn_server
from recyclic.errors import BusError


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
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run `recyclic events …` in a shop with two dead letters."""
    server = spawn_server(tmp_path / "redis", persistent=False)
    (tmp_path / "config.toml").write_text(f'[modules]\nenabled = []\n[redis]\nurl = "{server.url}"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RECYCLIC_CONFIG", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    asyncio.run(play(server.url))
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
    server.stop()


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
