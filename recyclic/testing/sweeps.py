"""Sweeps: a passing test repeated with a fault: dying at each boundary, every delivery doubled, other orders."""

from __future__ import annotations

import shlex
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest
from _pytest.runner import runtestprotocol

from recyclic.testing.errors import KitError, StrictError
from recyclic.testing.marks import HOSTS, failed_key, has_failed, host_key, rerun

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from recyclic.testing.fault import Fault
    from recyclic.testing.host import ModuleHost

MARK: Final = "recyclic_sweep"
PROPERTY: Final = "recyclic_sweep"


@dataclass(slots=True)
class Repetition:
    """One run of a test: its fault, and what its modules emitted."""

    name: str = ""
    key: str = ""
    fault: Fault | None = None
    emitted: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Broken:
    """A repetition that failed: the first line of why, and all of it."""

    repetition: Repetition
    first: str
    text: str


repetition_key: Final = pytest.StashKey[Repetition]()


@asynccontextmanager
async def repeating(item: pytest.Item, host: ModuleHost) -> AsyncIterator[None]:
    """Keep the repetition's fault active while the test runs, and until the host has come to rest."""
    repetition = item.stash.get(repetition_key, None)
    if repetition is None or repetition.fault is None:
        yield
        return
    host.active_faults.append(repetition.fault)
    host.team.hand_out(host.active_faults)
    yield
    if has_failed(item):
        return
    await host.settle()
    if repetition.fault.must_bite:
        await host.bitten([repetition.fault])
        await host.settle()
    host.active_faults.remove(repetition.fault)
    host.team.hand_out(host.active_faults)
    repetition.emitted = host.emitted_by_modules()
    if repetition.fault.must_bite and not repetition.fault.bites:
        raise StrictError(f"{repetition.fault} never bit: nothing that happened was its business\n\n{host.timeline}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test that passes again, once for each repetition that its decorators ask for."""
    marks = list(item.iter_markers(MARK))
    if not marks:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _swept(item, marks, nextitem):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was repeated: a sweep that tried nothing proves nothing."""
    counts: Counter[str] = Counter()
    tests = 0
    for reports in terminalreporter.stats.values():
        for report in reports:
            told = dict(getattr(report, "user_properties", ())).get(PROPERTY)
            if told and getattr(report, "when", "") == "call":
                tests += 1
                counts.update(told)
    if tests:
        shown = ", ".join(f"{count} {kind.removesuffix('s') if count == 1 else kind}" for kind, count in counts.items())
        terminalreporter.write_line(f"recyclic: {tests} test{'s' * (tests > 1)} repeated: {shown}")


def _swept(item: pytest.Item, marks: list[pytest.Mark], nextitem: pytest.Item | None) -> list[pytest.TestReport]:
    from recyclic.testing.death import Recorder  # noqa: PLC0415 - kept out of the plugin's import

    recorder = Recorder()
    base = Repetition(fault=recorder)
    reports = _run(item, base)
    if all(report.passed for report in reports):
        call = next(report for report in reports if report.when == "call")
        problem = _misuse(item)
        try:
            repetitions = [] if problem else list(_repetitions(item, marks, recorder))
        except KitError as error:
            problem, repetitions = str(error), []
        broken = [found for one in repetitions if (found := _broken(item, one, base)) is not None]
        if broken:
            problem = _told(item, repetitions, broken)
        if problem:
            call.outcome, call.longrepr = "failed", problem
        told = Counter(one.name for one in repetitions)
        call.user_properties.append((PROPERTY, dict(told)))
    item.session._setupstate.teardown_exact(nextitem)  # noqa: SLF001 - pytest has no public way to repeat an item
    return reports


def _run(item: pytest.Item, repetition: Repetition) -> list[pytest.TestReport]:
    item._initrequest()  # type: ignore[attr-defined]  # noqa: SLF001 - pytest has no public way to repeat an item
    item.stash[repetition_key] = repetition
    item.stash[failed_key] = False
    if host_key in item.stash:
        del item.stash[host_key]
    # Everything but the item itself stays set up, as between two tests of the same place.
    reports: list[pytest.TestReport] = runtestprotocol(item, log=False, nextitem=item.parent)  # type: ignore[arg-type]
    return reports


def _misuse(item: pytest.Item) -> str:
    names = getattr(item, "fixturenames", ())
    if "module_host" in names:
        return ""
    other = f", not {HOSTS[1]}" if HOSTS[1] in names else ""
    return f"{item.name} boots no module_host, so nothing can be repeated with a fault: ask for module_host{other}"


def _repetitions(item: pytest.Item, marks: list[pytest.Mark], recorder: Fault) -> Iterator[Repetition]:
    """Yield what is to be tried, or what was asked for by its key.

    Raises:
        KitError: nothing is to be tried, so nothing would be proved.
    """
    from recyclic.testing.death import Boundary, Death  # noqa: PLC0415 - kept out of the plugin's import
    from recyclic.testing.handler_faults import Duplicate, Reorder  # noqa: PLC0415 - kept out of the plugin's import

    only = item.config.getoption("--recyclic-sweep")
    found = 0
    for kind, *args in dict.fromkeys(mark.args for mark in reversed(marks)):
        if kind == "everywhere":
            boundaries = list(recorder.crossed)  # type: ignore[attr-defined]
            if not boundaries:
                raise KitError(f"{item.name} crossed no boundary at which a worker can die: nothing was proved")
            chosen = [Boundary.parse(only)] if only and ":" in only and not only.startswith("seed:") else boundaries
            repetitions = [Repetition("deaths", boundary.key, Death(boundary)) for boundary in chosen]
        elif kind == "doubled":
            repetitions = [Repetition("doubled", "doubled", Duplicate(None, None))]
        else:
            repetitions = [Repetition("orders", f"seed:{seed}", Reorder(seed)) for seed in args[0]]
        for one in repetitions:
            if only in {None, one.key}:
                found += 1
                yield one
    if not found:
        raise KitError(f"--recyclic-sweep={only}: {item.name} has no such repetition")


def _broken(item: pytest.Item, repetition: Repetition, base: Repetition) -> Broken | None:
    for report in _run(item, repetition):
        if not report.passed:
            kept = [content for name, content in report.sections if name == "recyclic"]  # where it is kept
            return Broken(repetition, _first(report), "\n\n".join([report.longreprtext, *kept]))
    if repetition.name == "doubled":
        more = {event: (base.emitted[event], n) for event, n in repetition.emitted.items() if n > base.emitted[event]}
        if more:
            lines = [
                f"{event} was emitted {_times(n)}, and {_times(before)} undoubled"
                for event, (before, n) in more.items()
            ]
            return Broken(repetition, lines[0], "\n".join(lines))
    return None


def _told(item: pytest.Item, repetitions: list[Repetition], broken: list[Broken]) -> str:
    lines = [f"{item.name} passes, and fails in {len(broken)} of {len(repetitions)} repetitions:"]
    lines += [f"  {_when(one.repetition)}: {one.first}" for one in broken]
    first = broken[0]
    lines += ["", f"{_when(first.repetition)}:", first.text, ""]
    lines.append(f"only this again: {rerun(item)} --recyclic-sweep={shlex.quote(first.repetition.key)}")
    return "\n".join(lines)


def _when(repetition: Repetition) -> str:
    match repetition.name:
        case "deaths":
            return f"a worker that dies {repetition.fault.where}"  # type: ignore[union-attr]
        case "doubled":
            return "every delivery doubled"
    return f"deliveries in the order of {repetition.key.replace(':', ' ')}"


def _first(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else report.longreprtext
    return (text.splitlines() or ["no text"])[0]


def _times(count: int) -> str:
    return {0: "not at all", 1: "once", 2: "twice"}.get(count, f"{count} times")
