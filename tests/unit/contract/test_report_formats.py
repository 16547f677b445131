"""The report as text and as JSON."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from recyclic.testing.contract.finding import Finding, Place, Severity
from recyclic.testing.contract.json import to_json
from recyclic.testing.contract.report import Ignored, Report, Unjudged
from recyclic.testing.contract.text import print_report

FINDING = Finding(
    rule="RCY404",
    name="a task or thread is left behind",
    severity=Severity.ERROR,
    module="attic",
    what="the task Event.wait outlives shutdown\n  second line with [brackets]",
    place=Place(file=str(Path.cwd() / "modules" / "attic" / "__init__.py"), line=17),
    remedy="Cancel it.",
)
REPORT = Report(
    modules=("attic", "shed"),
    rules=(),
    findings=(FINDING,),
    ignored=(Ignored(FINDING, "it is known"),),
    unjudged=(Unjudged("shed", "RCY501", "its code cannot be run"), Unjudged("attic", "RCY502", "as above")),
    seconds=1.25,
)


def test_text_says_what_where_and_the_remedy():
    out = io.StringIO()
    print_report(REPORT, Console(file=out, highlight=False, width=40))
    assert out.getvalue().splitlines() == [
        "attic",
        "  RCY404 error: a task or thread is left behind",
        "    at modules/attic/__init__.py:17",
        "    the task Event.wait outlives shutdown",
        "      second line with [brackets]",
        "    → Cancel it.",
        "",
        "  RCY404 ignored: it is known",
        "shed: not checked, its code cannot be run: RCY501",
        "2 modules, 0 rules: 1 error, 0 warnings, 1 ignored (1.2 s)",
    ]


def test_text_says_that_nothing_was_checked():
    out = io.StringIO()
    print_report(Report(modules=(), rules=()), Console(file=out))
    assert out.getvalue() == "nothing was checked: no module is enabled\n"


def test_json_holds_everything():
    document = json.loads(to_json(REPORT))
    assert document["format"] == 1
    assert document["exit_code"] == 1
    assert document["findings"] == [
        {
            "rule": "RCY404",
            "name": "a task or thread is left behind",
            "severity": "error",
            "module": "attic",
            "what": FINDING.what,
            "file": "modules/attic/__init__.py",
            "line": 17,
            "key": None,
            "remedy": "Cancel it.",
        }
    ]
    assert document["ignored"][0]["reason"] == "it is known"
    assert document["unjudged"][0] == {"module": "shed", "rule": "RCY501", "reason": "its code cannot be run"}
