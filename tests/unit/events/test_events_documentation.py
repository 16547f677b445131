"""docs/events.md names tests; each of them exists."""

from __future__ import annotations

import ast
import dataclasses
import re
from pathlib import Path

import typer

from recyclic.cli import events
from recyclic.config import BusConfig
from recyclic.core.events.settings import BrokerSettings

HERE = Path(__file__).parent
TEXT = (HERE.parents[2] / "docs" / "events.md").read_text(encoding="utf-8")


def existing() -> set[str]:
    found = set()
    others = (HERE.parent / "host" / "test_events_routes.py", HERE.parents[1] / "kit" / "test_journal_file.py")
    for path in [*HERE.glob("test_*.py"), *others]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found.add(node.name)
    return found


def test_every_test_that_the_promises_name_exists() -> None:
    """A promise whose test was renamed or removed is a promise no more."""
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(named) > 30
    assert named - existing() == set()


def test_every_promise_names_a_test() -> None:
    """In the sections that promise; the others describe."""
    promises = TEXT.partition("## What `emit` promises")[2].partition("## What a handler must do")[0]
    for item in re.split(r"\n- ", promises)[1:]:
        assert "test" in item or "No order" in item, item
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.endswith("| shown by |")]
    assert len(rows) > 30
    assert [row for row in rows if "`test_" not in row] == []


def test_every_setting_of_the_bus_is_documented() -> None:
    """And is one of the broker's."""
    line = next(line for line in TEXT.splitlines() if "`[bus]`" in line)
    for name in BusConfig.model_fields:
        assert f"`{name}`" in line
        assert name in {field.name for field in dataclasses.fields(BrokerSettings)}


def test_every_command_and_option_is_documented() -> None:
    """In the table of commands, or in what is said of all of them."""
    app = typer.Typer()
    events.register(app)
    [group] = typer.main.get_command(app).commands.values()
    lines = {
        line.split("`")[1].split()[2]: line for line in TEXT.splitlines() if line.startswith("| `recyclic events ")
    }
    assert lines.keys() == group.commands.keys()
    shared = {"--config", "--json", "--yes", "--output", "--traceback"}
    filters = {"--event", "--group", "--error", "--older-than", "--younger-than"}
    for name, command in group.commands.items():
        options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        line = lines[name] + (lines["dead"] if "filters" in lines[name] else "")
        assert {option for option in options - shared if option not in line} == set(), name
        assert name not in ("requeue", "drop") or options >= filters
