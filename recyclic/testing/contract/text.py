"""The report as text for people: every finding with its place and remedy, then one line that sums it up."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from recyclic.testing.contract.finding import Finding, Severity
from recyclic.testing.contract.report import BREACHED, CLEAN, Report

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow"}


def print_report(report: Report, console: Console) -> None:
    """Write the report to `console`."""
    for module in report.modules:
        found = [finding for finding in report.findings if finding.module == module]
        excused = [each for each in report.ignored if each.finding.module == module]
        if found or excused:
            console.print(Text(module, style="bold"), soft_wrap=True)
        for finding in found:
            _print_finding(finding, console)
        for each in excused:
            console.print(Text(f"  {each.finding.rule} ignored: {each.reason}", style="dim"), soft_wrap=True)
    for module in dict.fromkeys(each.module for each in report.unexplained):
        reasons = [each for each in report.unexplained if each.module == module]
        for reason in dict.fromkeys(each.reason for each in reasons):
            ids = ", ".join(each.rule for each in reasons if each.reason == reason)
            console.print(Text(f"{module}: not checked, {reason}: {ids}", style="yellow"), soft_wrap=True)
    console.print(_summary(report), soft_wrap=True)


def _print_finding(finding: Finding, console: Console) -> None:
    line = Text("  ")
    line.append(finding.rule, style=_STYLES[finding.severity])
    line.append(f" {finding.severity}: {finding.name}")
    console.print(line, soft_wrap=True)
    if place := str(finding.place):
        console.print(Text(f"    at {place}", style="cyan"), soft_wrap=True)
    for part in finding.what.splitlines():
        console.print(Text(f"    {part}"), soft_wrap=True)
    console.print(Text(f"    → {finding.remedy}", style="green"), soft_wrap=True)
    console.print(soft_wrap=True)


def _summary(report: Report) -> Text:
    checked = f"{_count(len(report.modules), 'module')}, {_count(len(report.rules), 'rule')}"
    found = f"{_count(len(report.errors), 'error')}, {_count(len(report.warnings), 'warning')}"
    if not report.modules:
        return Text("nothing was checked: no module is enabled", style="bold red")
    ignored = f", {len(report.ignored)} ignored" if report.ignored else ""
    style = {CLEAN: "bold green", BREACHED: "bold red"}.get(report.exit_code, "bold yellow")
    return Text(f"{checked}: {found}{ignored} ({report.seconds:.1f} s)", style=style)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
