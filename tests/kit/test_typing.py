"""The kit is typed: mypy --strict takes what a user writes, and finds the mistakes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXAMPLE, MISTAKES = "tests/kit/typed/example.py", "tests/kit/typed/mistakes.py"


def test_mypy_takes_what_users_write_and_finds_their_mistakes():
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", EXAMPLE, MISTAKES]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stderr == ""
    found = re.findall(r"^(\S+?):(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    lines = enumerate((ROOT / MISTAKES).read_text("utf-8").splitlines(), 1)
    marked = [(MISTAKES, str(number), line.partition("  # ")[2]) for number, line in lines if "  # " in line]
    assert len(marked) == 10
    assert found == marked
