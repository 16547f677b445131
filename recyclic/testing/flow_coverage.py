"""Flow coverage: which outcome of which event at which consumer a test run exercised, and which it never did."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recyclic.testing.flow_record import Flow, FlowRecord, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from recyclic.config import Config

_HOW_MANY = len(Outcome)


@dataclass(slots=True)
class FlowCoverage:
    """The matrix event × consumer × outcome, and what makes it red."""

    record: FlowRecord
    consumes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What the enabled modules consume, by their manifests: module → events."""
    fail_under: float | None = None
    asked_by: str = "--flow-coverage-fail-under"

    @property
    def flows(self) -> dict[Flow, Counter[str]]:
        """Every flow there is: the subscriptions of what was booted, and what the manifests of the others declare."""
        others = [
            (event, module)
            for module, events in self.consumes.items()
            if module not in self.record.booted
            for event in events
        ]
        return dict(sorted({**{flow: Counter[str]() for flow in others}, **self.record.flows}.items()))

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return len(self.flows) * _HOW_MANY

    @property
    def covered(self) -> int:
        """How many of them were exercised."""
        return sum(1 for outcomes in self.flows.values() for outcome in Outcome if outcomes[outcome])

    @property
    def percent(self) -> float:
        """How many that is, of a hundred."""
        return 100.0 * self.covered / self.cells if self.cells else 0.0

    def never_run(self) -> Iterator[str]:
        """Yield one line for each flow with outcomes that were never exercised."""
        for (event, consumer), outcomes in self.flows.items():
            missing = [outcome.value for outcome in Outcome if not outcomes[outcome]]
            module = consumer.partition(" ")[0]
            if module not in self.record.booted:
                yield f"{event} → {consumer}: never run, no test boots {module}"
            elif missing:
                yield f"{event} → {consumer}: {', '.join(missing)} never run"

    def failures(self) -> Iterator[str]:
        """Yield what makes the run red."""
        if not self.record.hosts:
            yield "no test booted a host: ask for module_host or ui_host, or use boot_modules"
        elif not self.flows:
            yield (
                "no enabled or booted module consumes an event: [modules] enabled in config.toml says which are "
                "enabled; classes and spies of tests do not count"
            )
        elif not self.covered:
            yield f"no event reached a consumer in {_hosts(self.record.hosts)}"
        elif self.fail_under is not None and self.percent < self.fail_under:
            yield f"{shown_percent(self.percent)} is below {self.fail_under:g} % ({self.asked_by})"

    def lines(self) -> list[str]:
        """Return the table and what was never run, as text."""
        flows = self.flows
        of = f"{self.covered} of {self.cells} cells, {shown_percent(self.percent)}, in {_hosts(self.record.hosts)}"
        lines = [of]
        if flows:
            rows = [("event", "consumer", *(outcome.value for outcome in Outcome))]
            rows += [(*flow, *(str(found[one] or "-") for one in Outcome)) for flow, found in flows.items()]
            widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
            lines += [_row(row, widths) for row in rows]
        if never := list(self.never_run()):
            lines += ["never run:", *(f"  {line}" for line in never)]
        return lines

    def as_json(self) -> dict[str, Any]:
        """Return the report for CI."""
        return {
            "percent": self.percent,
            "covered": self.covered,
            "cells": self.cells,
            "hosts": self.record.hosts,
            "fail_under": self.fail_under,
            "failures": list(self.failures()),
            "flows": [
                {
                    "event": event,
                    "consumer": consumer,
                    "booted": consumer.partition(" ")[0] in self.record.booted,
                    "outcomes": {outcome.value: outcomes[outcome] for outcome in Outcome},
                }
                for (event, consumer), outcomes in self.flows.items()
            ],
            "never_run": list(self.never_run()),
        }


def consumed_by_enabled(config: Config) -> dict[str, tuple[str, ...]]:
    """Return what each enabled module consumes by its manifest.

    Raises:
        ModuleError: a module is missing, or its manifest cannot be used.
    """
    from recyclic.core.manifest import check_manifest  # noqa: PLC0415 - kept out of the plugin's import
    from recyclic.core.module_source import discover  # noqa: PLC0415 - as above
    from recyclic.errors import ModuleError, Problem  # noqa: PLC0415 - as above

    sources, consumed, problems = discover(config), {}, []
    for module_id in config.modules.enabled:
        if module_id not in sources:
            where = f"{config.path or 'config.toml'}: [modules] enabled"
            problems.append(Problem(f"there is no module {module_id!r}", where))
            continue
        manifest, wrong = check_manifest(sources[module_id].manifest_path, module_id)
        problems += wrong
        if manifest is not None:
            consumed[module_id] = manifest.events.consumes
    if problems:
        raise ModuleError(problems)
    return consumed


def shown_percent(percent: float) -> str:
    """Return a percentage with one decimal, cut and not rounded: 99.96 is not yet 100."""
    return f"{math.floor(percent * 10) / 10:g} %"


def _row(row: Sequence[str], widths: Sequence[int]) -> str:
    left = [text.ljust(width) for text, width in zip(row[:2], widths[:2], strict=True)]
    right = [text.rjust(width) for text, width in zip(row[2:], widths[2:], strict=True)]
    return "  ".join(["", *left, *right]).rstrip()


def _hosts(count: int) -> str:
    return "1 host" if count == 1 else f"{count} hosts"
