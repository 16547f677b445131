"""Flow coverage: which outcomes count, which cells there are, what is printed, and what makes a run red."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from datetime import UTC, datetime

import pytest

from recyclic.core.events.event import Envelope
from recyclic.testing.flow_coverage import FlowCoverage, shown_percent
from recyclic.testing.flow_record import FlowRecord, outcomes
from recyclic.testing.journal import Journal, Kind

pytest_plugins = ["pytester"]

SALE = Envelope(id="e1", event="sale_closed", source="till", time=datetime(2025, 9, 17, tzinfo=UTC))
WHO = (SALE, "books", "books_group")


def told(journal: Journal) -> list[str]:
    found = list(outcomes(journal.records))
    assert {pair for pair, _ in found} <= {("sale_closed", "books_group")}
    return [outcome.value for _, outcome in found]


@pytest.fixture
def journal() -> Journal:
    journal = Journal(lambda: 0.0)
    journal.emitted(SALE, "1-0")
    journal.delivered(*WHO, 1)
    return journal


def test_a_handler_that_returns_is_ok(journal):
    journal.handled(*WHO, 1, 0.0)
    assert told(journal) == ["ok"]


def test_a_failure_alone_is_no_retry_but_the_next_attempt_is(journal):
    journal.failed(*WHO, 1, ValueError(), 1.0)
    assert told(journal) == []
    journal.delivered(*WHO, 2)
    journal.handled(*WHO, 2, 0.0)
    assert told(journal) == ["retried", "ok"]


def test_an_attempt_after_the_worker_died_is_a_retry(journal):
    journal.worker_died()
    journal.delivered(*WHO, 1)
    assert told(journal) == ["retried"]


def test_an_attempt_after_the_process_of_the_handler_died_is_a_retry(journal):
    journal.handler_died(journal.records[-1])
    journal.delivered(*WHO, 2)
    assert told(journal) == ["retried"]


def test_a_dead_letter(journal):
    journal.failed(*WHO, 1, ValueError(), None)
    journal.dead("1-0", "sale_closed", "books", "books_group", 1, "it failed")
    assert told(journal) == ["dead-lettered"]


def test_an_event_that_was_handled_and_comes_again_is_a_duplicate(journal):
    journal.handled(*WHO, 1, 0.0)
    journal.delivered(*WHO, 1)
    journal.handled(*WHO, 1, 0.0)
    assert told(journal) == ["ok", "duplicated", "ok"]


def test_an_event_that_comes_while_it_is_handled_is_a_duplicate(journal):
    journal.delivered(*WHO, 1)
    assert told(journal) == ["duplicated"]


def test_a_delivery_that_a_fault_doubles_is_a_duplicate(journal):
    journal.repeated(*WHO, 1)
    journal.handled(*WHO, 1, 0.0)
    assert told(journal) == ["duplicated", "ok"]


def test_other_records_are_no_outcome(journal):
    journal.write(Kind.REQUEST, key="r1", text="GET /")
    journal.settled("sale_closed", "books_group", "1-0")
    assert told(journal) == []


def record(**flows: dict[str, int]) -> FlowRecord:
    return FlowRecord(2, {"books"}, {(event, "books"): Counter(found) for event, found in flows.items()})


def test_records_of_several_processes_are_added():
    whole = record(sale_closed={"ok": 1})
    whole.add(FlowRecord.load(json.loads(json.dumps(record(sale_closed={"ok": 2, "retried": 1}, other={}).dump()))))
    assert whole.hosts == 4
    assert whole.flows == {("sale_closed", "books"): Counter(ok=3, retried=1), ("other", "books"): Counter()}


def test_a_module_that_no_test_boots_counts_by_its_manifest():
    coverage = FlowCoverage(record(sale_closed={"ok": 3}), {"books": ["gone"], "stats": ["sale_closed"]})
    assert (coverage.covered, coverage.cells) == (1, 8)
    assert list(coverage.never_run()) == [
        "sale_closed → books: retried, dead-lettered, duplicated never run",
        "sale_closed → stats: never run, no test boots stats",
    ]


@pytest.mark.parametrize(
    ("recorded", "failures"),
    [
        (FlowRecord(), ["no test booted a host: ask for module_host or ui_host, or use boot_modules"]),
        (
            FlowRecord(1),
            [
                (
                    "no enabled or booted module consumes an event: [modules] enabled in config.toml says which are "
                    "enabled; classes and spies of tests do not count"
                )
            ],
        ),
        (record(sale_closed={}), ["no event reached a consumer in 2 hosts"]),
        (record(sale_closed={"ok": 1}), ["25 % is below 25.5 % (--flow-coverage-fail-under)"]),
        (record(sale_closed={"ok": 1, "retried": 1}), []),
    ],
)
def test_what_makes_a_run_red_is_named(recorded, failures):
    assert list(FlowCoverage(recorded, fail_under=25.5).failures()) == failures


def test_nearly_all_is_not_shown_as_all():
    assert [shown_percent(value) for value in (99.97, 100.0, 31.25, 0.0)] == ["99.9 %", "100 %", "31.2 %", "0 %"]


TILL = '''
from recyclic import Event, ModuleBase


class SaleClosed(Event):
    """A session of the till was closed."""

    session_id: str


class TillModule(ModuleBase):
    emits = (SaleClosed,)

    async def startup(self, app, config): ...

    async def shutdown(self): ...

    def register_signals(self, bus):
        self.bus = bus


MODULE_CLASS = TillModule
'''
BOOKS = """
from recyclic import ModuleBase


class BooksModule(ModuleBase):
    async def startup(self, app, config): ...

    async def shutdown(self): ...

    def register_signals(self, bus):
        bus.on("sale_closed", self.book)
        bus.on("sale_closed", self.count, name="stats")

    async def book(self, session_id: str, **data): ...

    async def count(self, **data): ...


MODULE_CLASS = BooksModule
"""
MANIFEST = """
name = "{id}"
version = "0.1.0"
description = "of a test"

[permissions]
section = "config"
level = "write"

[events]
emits = [{emits}]
consumes = [{consumes}]
"""
SUITE = """
import pytest
from recyclic.testing import faults

pytestmark = pytest.mark.modules("till", "books")

async def close(host, session="a"):
    await host.bus.emit("sale_closed", session_id=session)

async def test_retry(module_host):
    async with module_host.act("close", faults.handler("books", "sale_closed", fail=2)) as trace:
        await close(module_host)

async def test_dead(module_host):
    async with module_host.act("close", faults.handler("books", "sale_closed", fail=10), expect_errors=True):
        await close(module_host)
    assert True

@pytest.mark.modules("till", stub=["books"])
async def test_spy(module_host):
    async with module_host.act("close"):
        await close(module_host)
"""
INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
addopts = -p no:cacheprovider
filterwarnings = error
{more}
"""


@pytest.fixture
def shop(pytester: pytest.Pytester):
    """A project with its own config.toml and modules; run its suite."""
    for module, code, emits, consumes in (("till", TILL, '"sale_closed"', ""), ("books", BOOKS, "", '"sale_closed"')):
        folder = pytester.path / "mods" / f"{module}"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(code)
        (folder / "module.toml").write_text(MANIFEST.format(id=module, emits=emits, consumes=consumes))
    (pytester.path / "config.toml").write_text('[modules]\npath = ["mods"]\nenabled = ["till", "books"]\n')

    def run(*args: str, suite: str = SUITE, more: str = ""):
        pytester.makefile(".ini", pytest=INI.format(more=more))
        pytester.makepyfile(test_shop=textwrap.dedent(suite))
        return pytester.runpytest_inprocess("--recyclic-redis=fake", *args)

    return run


def report(result) -> list[str]:
    """Return the printed lines from the report's heading to pytest's own last line."""
    start = next(i for i, line in enumerate(result.outlines) if "= flow coverage =" in line)
    return result.outlines[start + 1 : -1]


FULL = [
    "6 of 8 cells, 75 %, in 3 hosts",
    "  event        consumer       ok  retried  dead-lettered  duplicated",
    "  sale_closed  books           1        5              1           -",
    "  sale_closed  books (stats)   1        5              1           -",
    "never run:",
    "  sale_closed → books: duplicated never run",
    "  sale_closed → books (stats): duplicated never run",
]


@pytest.mark.slow
@pytest.mark.parametrize("processes", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_the_matrix_is_printed_whoever_ran_the_tests(shop, processes):
    result = shop("--flow-coverage", "--flow-coverage-json=out/flows.json", *processes)
    result.assert_outcomes(passed=3)
    assert (result.ret, report(result)) == (0, FULL)


@pytest.mark.slow
def test_below_the_threshold_the_run_is_red(shop, pytester):
    result = shop("--flow-coverage-fail-under=80", "--flow-coverage-json=out/flows.json")
    result.assert_outcomes(passed=3)
    assert result.ret == 1
    failure = "75 % is below 80 % (--flow-coverage-fail-under)"
    assert report(result) == [*FULL, f"FAILED flow coverage: {failure}"]
    told = json.loads((pytester.path / "out" / "flows.json").read_text())
    assert (told["percent"], told["covered"], told["cells"], told["hosts"]) == (75.0, 6, 8, 3)
    assert (told["fail_under"], told["failures"]) == (80.0, [failure])
    assert told["flows"][0] == {
        "event": "sale_closed",
        "consumer": "books",
        "booted": True,
        "outcomes": {"ok": 1, "retried": 5, "dead-lettered": 1, "duplicated": 0},
    }
    assert told["never_run"] == [line.strip() for line in FULL[5:]]


@pytest.mark.slow
def test_the_threshold_may_stand_in_the_ini_file(shop):
    more = "recyclic_flow_coverage_fail_under = 80"
    result = shop("--flow-coverage", "-k", "retry", more=more)
    assert result.ret == 1
    assert report(result)[-1] == "FAILED flow coverage: 50 % is below 80 % (recyclic_flow_coverage_fail_under)"
    assert shop("--flow-coverage-fail-under=50", "-k", "retry", more=more).ret == 0
    assert shop("-k", "spy", more=more).ret == 0  # nobody asked for it in this run


@pytest.mark.slow
def test_without_any_flow_the_run_is_red(shop):
    result = shop("--flow-coverage", "-k", "spy")
    assert result.ret == 1
    assert report(result) == [
        "0 of 4 cells, 0 %, in 1 host",
        "  event        consumer  ok  retried  dead-lettered  duplicated",
        "  sale_closed  books      -        -              -           -",
        "never run:",
        "  sale_closed → books: never run, no test boots books",
        "FAILED flow coverage: no event reached a consumer in 1 host",
    ]
    result = shop("--flow-coverage", suite="def test_nothing(): ...")
    assert result.ret == 1
    expected = "FAILED flow coverage: no test booted a host: ask for module_host or ui_host, or use boot_modules"
    assert report(result)[-1] == expected


@pytest.mark.slow
def test_a_worker_that_dies_is_told(shop):
    result = shop("--flow-coverage", "-n", "1", "--max-worker-restart=0", suite="import os\ndef test_it(): os._exit(1)")
    assert result.ret == 1
    assert "FAILED flow coverage: worker gw0 ended without telling what it ran" in report(result)


@pytest.mark.slow
def test_what_cannot_be_read_or_written_is_named(shop, pytester):
    (pytester.path / "out").touch()
    result = shop("--flow-coverage-json=out/flows.json", "-k", "retry")
    assert result.ret == 1
    assert report(result)[-1].startswith("FAILED flow coverage: out/flows.json cannot be written: ")
    (pytester.path / "config.toml").write_text('[modules]\npath = ["mods"]\nenabled = ["till", "boks"]\n')
    result = shop("--flow-coverage", "-k", "retry")
    assert result.ret == 1
    assert report(result)[-1].startswith("FAILED flow coverage: the enabled modules cannot be read: ")
    assert report(result)[-1].endswith("there is no module 'boks'")


def test_a_threshold_that_is_no_percentage_is_refused(shop):
    result = shop("--flow-coverage-fail-under=much", suite="def test_nothing(): ...")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = "recyclic: --flow-coverage-fail-under is 'much': give a percentage from 0 to 100"
    assert any(text in line for line in result.errlines)


@pytest.mark.slow
def test_collecting_alone_is_not_judged(shop):
    result = shop("--flow-coverage", "--collect-only")
    assert result.ret == 0
    assert not any("flow coverage" in line for line in result.outlines)
