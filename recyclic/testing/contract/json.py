"""The report as JSON for programs. `format` grows when a field changes its meaning; new fields may come at any time."""

from __future__ import annotations

import json
from typing import Any

from recyclic.testing.contract.finding import Finding, shown
from recyclic.testing.contract.report import Report

FORMAT = 1


def to_json(report: Report) -> str:
    """Return the report as one JSON document."""
    return json.dumps(
        {
            "format": FORMAT,
            "exit_code": report.exit_code,
            "modules": list(report.modules),
            "rules": [rule.id for rule in report.rules],
            "findings": [_finding(each) for each in report.findings],
            "ignored": [{**_finding(each.finding), "reason": each.reason} for each in report.ignored],
            "unjudged": [{"module": each.module, "rule": each.rule, "reason": each.reason} for each in report.unjudged],
            "seconds": round(report.seconds, 3),
        },
        indent=2,
        ensure_ascii=False,
    )


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "name": finding.name,
        "severity": str(finding.severity),
        "module": finding.module,
        "what": finding.what,
        "file": shown(finding.place.file) or None,
        "line": finding.place.line,
        "key": finding.place.key or None,
        "remedy": finding.remedy,
    }
