"""`recyclic simulate` on the command line, with the real modules and Paheko's stand-in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # processes of their own

PROJECT = Path(__file__).parents[3]


def recyclic(*args):
    command = [sys.executable, "-m", "recyclic", "simulate", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=PROJECT)


@pytest.mark.slow
def test_sales_reach_the_accounting_though_two_handlings_fail():
    done = recyclic("sale_closed", "--times", "6", "--fail", "paheko=2")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "every sale_closed reached paheko exactly once"
    assert sum("  failed   sale_closed" in line for line in lines) == 2
    assert sum("  handled  sale_closed" in line for line in lines) == 6
    assert sum("  emitted  entry_written" in line and line.endswith("by paheko") for line in lines) == 6


@pytest.mark.slow
def test_sale_that_never_reaches_it_ends_with_1():
    done = recyclic("sale_closed", "--fail", "paheko=5", "--backend", "fake")
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1] == "1 of 1 sale_closed did not reach paheko, 1 of them in the dead letters"


@pytest.mark.parametrize(
    "args",
    [["sale_closed", "--payload", "{"], ["sale_closed", "--payload", "[]"], ["sale_closed", "--fail", "paheko"]],
)
def test_what_cannot_be_read_ends_with_2(args):
    done = recyclic(*args)
    assert done.returncode == 2
    assert done.stderr.startswith("recyclic: --")
