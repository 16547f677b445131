"""Flow: steps over a booted host that break and restart it; a failure prints what a rerun repeats."""

from __future__ import annotations

import re
import textwrap
import unittest
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

import recyclic
from recyclic.testing.flow import FAULTS
from recyclic.testing.strategies import Flow
from tests.kit.test_host import BooksModule, TillModule

pytestmark = pytest.mark.slow  # many hosts

pytest_plugins = ["pytester"]


class LedgerModule(BooksModule):
    """Books each session once, however often it is told."""

    booked: dict[str, int]

    def __init__(self):
        super().__init__()
        self.shelf = SHELF

    async def book(self, session_id: str, total_cents: int, **data):
        self.shelf.setdefault(session_id, total_cents)


SHELF: dict[str, int] = {}
RUNS: list[str] = []


class ShopFlow(Flow):
    modules = (TillModule, LedgerModule)

    @initialize()
    async def open(self):
        SHELF.clear()
        self.closed = []

    @rule(cents=st.integers(1, 100))
    async def close(self, cents):
        session = f"session-{len(self.closed)}"
        async with self.act("close") as trace:
            await self.host.http.post(f"/api/modules/till/close/{session}")
        self.closed.append(session)
        if "ledger" not in self.paused and "till" not in self.paused:
            trace.consumed("sale_closed", by="ledger", session_id=session).ok()
        RUNS.append("close")

    @precondition(lambda self: self.closed)
    @invariant()
    async def what_is_booked_was_closed(self):
        assert set(SHELF) <= set(self.closed)

    async def at_rest(self):
        assert set(SHELF) == set(self.closed)
        RUNS.append("rest")


def test_a_flow_goes_somewhere_and_holds():
    case = ShopFlow.TestCase
    case.settings = settings(case.settings, max_examples=12)
    outcome = unittest.TestResult()
    case("runTest").run(outcome)
    assert outcome.wasSuccessful(), [text for _, text in (*outcome.errors, *outcome.failures)]
    assert RUNS.count("close") > 5
    assert RUNS.count("rest") > 5


def test_every_fault_of_the_catalogue_can_be_built():
    assert {str(make()).partition("(")[0] for make in FAULTS.values()} == {
        "faults.disconnect",
        "faults.duplicate",
        "faults.kill_worker",
        "faults.on",
        "faults.reorder",
    }


FORGETFUL = """
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from recyclic.testing.strategies import Flow
from tests.kit.test_host import BooksModule, TillModule


class ForgetfulModule(BooksModule):
    async def book(self, session_id: str, **data):
        self.last = getattr(self, "last", 0) + 1


class ForgetfulFlow(Flow):
    modules = (TillModule, ForgetfulModule)
    pause = restart = break_something = None  # these steps are left out
    count = 0

    @rule(cents=st.integers(0, 9))
    async def close(self, cents):
        async with self.act("close"):
            await self.host.bus.emit("sale_closed", session_id="a", total_cents=cents)
        self.count += 1

    async def at_rest(self):
        assert getattr(self.host.module("forgetful"), "last", 0) == self.count, "it forgets"


TestForgetful = ForgetfulFlow.TestCase
TestForgetful.settings = settings(TestForgetful.settings, max_examples=10, stateful_step_count=3)
"""


def test_a_failure_prints_a_seed_and_the_shortest_sequence_and_a_rerun_repeats_it(pytester, monkeypatch):
    """A module that keeps in memory what it counts forgets it when it crashes: two steps show it."""
    monkeypatch.setenv("HYPOTHESIS_STORAGE_DIRECTORY", str(pytester.path / "h"))
    pytester.makefile(".ini", pytest="[pytest]\naddopts = -p no:cacheprovider\n")
    (pytester.path / "test_forgetful.py").write_text(textwrap.dedent(FORGETFUL))
    result = pytester.runpytest_subprocess("-p", "no:randomly")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*AssertionError: it forgets*",
            "*Failing test case: <state machine>",
            "*state = ForgetfulFlow()",
            "*state.close(cents=0)",
            "*state.crash()",
            "*state.teardown()",
            "*seed of the flow: *",
            "*rerun: pytest test_forgetful.py::TestForgetful::runTest --hypothesis-seed=*",
        ]
    )
    command = next(line for line in result.outlines if "rerun: pytest" in line).partition("rerun: pytest ")[2].split()
    again = pytester.runpytest_subprocess(*command)
    again.assert_outcomes(failed=1)

    def steps(outcome):
        lines = [line.removeprefix("E").strip() for line in outcome.outlines]
        return [line for line in lines if line.startswith(("state", "Draw"))]

    assert steps(again) == steps(result)
    assert f"rerun: pytest {' '.join(command)}" in "\n".join(again.outlines)


def test_the_documented_flow_runs_as_it_stands():
    text = (Path(recyclic.__file__).parents[1] / "docs" / "testing.md").read_text(encoding="utf-8")
    [block] = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "ClosingFlow" in block]
    names: dict[str, Any] = {}
    exec(block, names)
    case = names["TestClosing"]
    case.settings = settings(case.settings, max_examples=3)
    assert unittest.TestResult.wasSuccessful(case("runTest").run())
