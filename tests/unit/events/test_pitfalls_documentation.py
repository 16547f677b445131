"""docs/pitfalls.md answers each of the 37 pitfalls by tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROWS = re.findall(
    r"^\| (\d+) \|.*\| ([^|]+) \|$", (ROOT / "docs" / "pitfalls.md").read_text(encoding="utf-8"), re.MULTILINE
)


def test_every_pitfall_is_answered_by_a_test_that_exists() -> None:
    files = [*ROOT.glob("tests/unit/events/test_*.py"), *ROOT.glob("tests/e2e/drills/test_*.py")]
    existing = {name for file in files for name in re.findall(r"def (test_\w+)\(", file.read_text(encoding="utf-8"))}
    assert [int(number) for number, _ in ROWS] == list(range(1, 38))
    for number, shown in ROWS:
        named = set(re.findall(r"`(test_\w+)`", shown))
        assert named, number
        assert named <= existing, number
