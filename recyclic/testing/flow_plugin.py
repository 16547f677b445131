"""`--flow-coverage` in pytest: follows the hosts of every process, and judges at the end of the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from recyclic.testing.flow_coverage import FlowCoverage

_KEY: Final = "recyclic_flows"
"""Under which a worker of pytest-xdist hands over what it recorded."""
_INI: Final = "recyclic_flow_coverage_fail_under"


def add_options(parser: pytest.Parser) -> None:
    """Add `--flow-coverage`, its threshold and its report."""
    group = parser.getgroup("recyclic")
    group.addoption(
        "--flow-coverage",
        action="store_true",
        help="print which outcomes of which event at which consumer the run exercised; none at all fails it",
    )
    group.addoption(
        "--flow-coverage-fail-under",
        metavar="PERCENT",
        help="fail when fewer of the cells were exercised; implies --flow-coverage",
    )
    group.addoption("--flow-coverage-json", metavar="FILE", help="write the report as JSON; implies --flow-coverage")
    parser.addini(_INI, "the threshold of --flow-coverage, in percent", default="")


def install(config: pytest.Config) -> None:
    """Follow the run where it was asked for.

    Raises:
        UsageError: the threshold is no percentage.
    """
    option = config.getoption
    asked = option("--flow-coverage") or option("--flow-coverage-json") or option("--flow-coverage-fail-under")
    given = option("--flow-coverage-fail-under") or config.getini(_INI)
    where = "--flow-coverage-fail-under" if option("--flow-coverage-fail-under") else _INI
    try:
        threshold = float(given) if given else None
    except ValueError:
        threshold = -1.0
    if threshold is not None and not 0 <= threshold <= 100:
        raise pytest.UsageError(f"recyclic: {where} is {given!r}: give a percentage from 0 to 100")
    if asked and not option("collectonly"):
        config.pluginmanager.register(_FlowPlugin(config, threshold, where), "recyclic-flow-coverage")


class _FlowPlugin:
    def __init__(self, config: pytest.Config, threshold: float | None, asked_by: str) -> None:
        from recyclic.testing.flow_record import FlowRecorder  # noqa: PLC0415 - kept out of the plugin's import

        self._config = config
        self._threshold = threshold
        self._asked_by = asked_by
        self._coverage: FlowCoverage | None = None
        self._problems: list[str] = []
        self._recorder = FlowRecorder()
        self._recorder.start()

    def pytest_unconfigure(self) -> None:
        self._recorder.stop()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker of pytest-xdist recorded."""
        from recyclic.testing.flow_record import FlowRecord  # noqa: PLC0415 - kept out of the plugin's import

        told = getattr(node, "workeroutput", {}).get(_KEY)
        if told is None:
            self._problems.append(f"worker {node.gateway.id} ended without telling what it ran")
        else:
            self._recorder.record.add(FlowRecord.load(told))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand over to the controller; there, or in the only process, judge."""
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[_KEY] = self._recorder.record.dump()
            return
        self._coverage = self._judged()
        self._write_json(self._coverage)
        failed = self._problems or list(self._coverage.failures())
        if failed and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the report."""
        if self._coverage is None:
            return
        terminalreporter.write_sep("=", "flow coverage")
        for line in self._coverage.lines():
            terminalreporter.write_line(line)
        for problem in [*self._problems, *self._coverage.failures()]:
            terminalreporter.write_line(f"FAILED flow coverage: {problem}", red=True)

    def _judged(self) -> FlowCoverage:
        from recyclic.errors import RecyclicError  # noqa: PLC0415 - kept out of the plugin's import
        from recyclic.testing.flow_coverage import FlowCoverage, consumed_by_enabled  # noqa: PLC0415 - as above
        from recyclic.testing.marks import kit_config  # noqa: PLC0415 - as above

        consumes: dict[str, tuple[str, ...]] = {}
        try:
            consumes = consumed_by_enabled(kit_config(self._config))
        except RecyclicError as error:
            self._problems += [f"the enabled modules cannot be read: {problem}" for problem in error.problems]
        return FlowCoverage(self._recorder.record, consumes, self._threshold, self._asked_by)

    def _write_json(self, coverage: FlowCoverage) -> None:
        name = self._config.getoption("--flow-coverage-json")
        if not name:
            return
        file = Path(name) if Path(name).is_absolute() else self._config.invocation_params.dir / name
        report = coverage.as_json()
        report["failures"] = [*self._problems, *report["failures"]]
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
        except OSError as error:
            self._problems.append(f"{name} cannot be written: {error.strerror or error}")
