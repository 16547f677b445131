"""docs/drills.md names every drill, and none that is gone."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
TEXT = (HERE.parents[2] / "docs" / "drills.md").read_text(encoding="utf-8")


def test_every_drill_is_documented_with_its_command_and_its_tests() -> None:
    files = {path for path in HERE.glob("test_*.py") if path.name != Path(__file__).name}
    commands = {f"make drill-{path.stem.removeprefix('test_').replace('_', '-')}" for path in files}
    tests = {name for path in files for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))}
    assert set(re.findall(r"^\| `(make drill-[\w-]+)`", TEXT, re.MULTILINE)) == commands
    assert set(re.findall(r"`(test_\w+)`", TEXT)) == tests
