"""The drills' fixture, and their accounts at the end of a run that drills."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from drills.drill import Drill

FULL = bool(os.environ.get("DRILL_FULL"))
SEED = int(os.environ.get("DRILL_SEED") or (secrets.randbelow(10**9) if FULL else 20250917))
"""`make drills` takes another chance each time, `make test` always the same one; DRILL_SEED sets it."""


@pytest.fixture
def drill(request: pytest.FixtureRequest, record_property) -> Iterator[Drill]:
    """Return the drill that this test is: its size, its chance, and a folder short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="rcy-drill-"))
    name = Path(request.node.path).stem.removeprefix("test_").replace("_", "-")
    yield Drill(name, SEED, FULL, folder, lambda account: record_property("account", account))
    if os.environ.get("DRILL_KEEP"):
        print(f"the drill's files are kept: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print every drill's account. Where drills are a part of a larger run, they are told by failures only."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    accounts = [
        (report.nodeid, text)
        for report in reports
        if report.when == "call"
        for name, text in report.user_properties
        if name == "account"
    ]
    if accounts:
        terminalreporter.section("accounts of the drills")
    for nodeid, text in accounts:
        terminalreporter.write_line("")
        terminalreporter.write_line(f"{nodeid.rpartition('::')[2]}")
        terminalreporter.write_line(text)
