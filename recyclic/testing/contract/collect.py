"""The contract as tests: `pytest --contracts` collects one for each module and rule; `contract_tests` for a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from recyclic.config import Config
from recyclic.errors import ConfigError, Problem, RecyclicError
from recyclic.testing.contract.engine import check
from recyclic.testing.contract.finding import Finding, Severity
from recyclic.testing.contract.report import Report
from recyclic.testing.contract.rule import Rule, all_rules

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr

_reports = pytest.StashKey[dict[tuple[str, ...], Report]]()


class ContractBreachError(AssertionError):
    """Raised by a contract test; its text is the findings."""


class ContractWarning(UserWarning):
    """Issued by a contract test for a breach that is no error."""


def contract_tests(*modules: str, config: Path | None = None) -> Callable[..., None]:
    """Make a test with one case for each module and rule; `test_contract = …` in a test file puts it there.

    A module is found as the host finds it: in the configuration that `config`, `RECYCLIC_CONFIG` or `config.toml`
    names, or as an installed entry point; it need not be enabled. Without names, every enabled module is tested.

    Raises:
        ConfigError: no module is named and none is enabled: nothing would be checked.
    """
    chosen = modules or _enabled(config)
    cases = [
        pytest.param(module, rule, id=rule.id if len(modules) == 1 else f"{module}-{rule.id}")
        for module in chosen
        for rule in all_rules()
    ]

    @pytest.mark.parametrize(("module", "rule"), cases)
    def test_contract(module: str, rule: Rule, request: pytest.FixtureRequest) -> None:
        """The module keeps this promise of the contract."""
        __tracebackhide__ = True
        _judge(report_of(request.config, modules, config), module, rule)

    return test_contract


def _enabled(file: Path | None = None) -> tuple[str, ...]:
    loaded = Config.load(file)
    if not loaded.modules.enabled:
        where = f"{loaded.path or 'config.toml'}: [modules] enabled"
        raise ConfigError(Problem("no module is enabled, so nothing would be checked", where, "enable one"))
    return loaded.modules.enabled


def report_of(config: pytest.Config, modules: tuple[str, ...] = (), file: Path | None = None) -> Report:
    """Return the report on these modules, or on all that are enabled; each is checked once in a run."""
    reports = config.stash.setdefault(_reports, {})
    key = (*modules, str(file or ""))
    if key not in reports:
        reports[key] = check(Config.load(file), modules=modules)
    return reports[key]


def _judge(report: Report, module: str, rule: Rule) -> None:
    """Raise for a breach, warn for a breach that is a warning, skip with the reason what could not be judged."""
    __tracebackhide__ = True
    found = report.about(module, rule.id)
    text = "\n".join(_told(finding) for finding in found)
    if found and rule.severity is Severity.ERROR:
        raise ContractBreachError(text)
    if found:
        pytest.skip(f"warning: {text}")
    if reason := report.why_unjudged(module, rule.id):
        if any(each.module == module and each.rule == rule.id for each in report.unexplained):
            raise ContractBreachError(f"{rule.id} could not be judged for {module}: {reason}")
        pytest.skip(f"not judged: {reason}")


def _told(finding: Finding) -> str:
    place = f"  at {finding.place}\n" if str(finding.place) else ""
    return f"{finding.rule} {finding.module}: {finding.name}\n{place}  {finding.what}\n  → {finding.remedy}"


class ContractItem(pytest.Item):
    """One rule for one module."""

    def __init__(self, *, module: str, rule: Rule, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.module_id = module
        self.rule = rule

    def runtest(self) -> None:
        """Look into the report; the first item of a run makes it."""
        _judge(report_of(self.config), self.module_id, self.rule)

    def repr_failure(  # noqa: D102 - as pytest says
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> str | TerminalRepr:
        if isinstance(excinfo.value, ContractBreachError | RecyclicError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Name the item in a failure's headline."""
        return self.path, None, f"contract: {self.module_id} {self.rule.id} {self.rule.name}"


class ContractModule(pytest.Collector):
    """All rules for one module."""

    def collect(self) -> Iterator[ContractItem]:
        """Yield one item for each rule."""
        for rule in all_rules():
            yield ContractItem.from_parent(self, name=rule.id, module=self.name, rule=rule)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the contract of every enabled module; `-k` and `-m` see them like any test."""
    try:
        enabled, path = _enabled(), Config.load().path or config.rootpath
    except RecyclicError as error:
        raise pytest.UsageError(f"--contracts: {error}") from None
    for module in enabled:
        node = ContractModule.from_parent(session, name=module, path=path, nodeid=f"contracts::{module}")
        items.extend(node.collect())
