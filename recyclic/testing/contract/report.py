"""Report: everything that a check found, and whether it found out enough."""

from __future__ import annotations

from dataclasses import dataclass

from recyclic.testing.contract.finding import Finding, Severity
from recyclic.testing.contract.rule import Rule

CLEAN, BREACHED, NOT_CHECKED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Ignored:
    """A finding that the module's manifest excuses, with its reason."""

    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A rule that could not be judged for a module, and why."""

    module: str
    rule: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of one check."""

    modules: tuple[str, ...]
    rules: tuple[Rule, ...]
    findings: tuple[Finding, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    unjudged: tuple[Unjudged, ...] = ()
    seconds: float = 0.0

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Return the findings that fail the check."""
        return tuple(each for each in self.findings if each.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Return the findings that do not."""
        return tuple(each for each in self.findings if each.severity is Severity.WARNING)

    @property
    def unexplained(self) -> tuple[Unjudged, ...]:
        """Return what could not be judged in modules where no error says why: silence that proves nothing."""
        explained = {each.module for each in self.errors} | {each.finding.module for each in self.ignored}
        return tuple(each for each in self.unjudged if each.module not in explained)

    @property
    def exit_code(self) -> int:
        """Return 0 for clean, 1 for a breach, 2 where something could not be checked or nothing was."""
        if self.errors:
            return BREACHED
        return NOT_CHECKED if not self.modules or self.unexplained else CLEAN

    def about(self, module: str, rule: str) -> tuple[Finding, ...]:
        """Return the findings of one rule in one module."""
        return tuple(each for each in self.findings if (each.module, each.rule) == (module, rule))

    def why_unjudged(self, module: str, rule: str) -> str:
        """Return why a rule was not judged for a module; "" where it was."""
        return next((each.reason for each in self.unjudged if (each.module, each.rule) == (module, rule)), "")
