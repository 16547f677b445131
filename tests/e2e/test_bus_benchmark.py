"""The benchmark of the bus runs: `make bench-bus` in small, so that it cannot rot. Its figures here mean nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "performance.md"
PEERS = {"faststream": "faststream", "faststream-batch": "faststream", "taskiq": "taskiq_redis"}
"""What only the benchmark's own environment has: contender → the package that it needs."""

FIGURES = {"consumed", "concurrent_emits", "sequential_emits", "p50", "p99", "one_p50", "one_p99", "cpu_emit"}
EVERYWHERE = {"ours", "naive", "raw", "limit"}


def run(module: str, *arguments: str) -> str:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_bus_benchmark_measures_each_contender_and_writes_its_tables(tmp_path):
    """Peers that are not installed are named; everybody else has every figure, and the document gets the tables."""
    document, figures = tmp_path / "performance.md", tmp_path / "figures.json"
    shutil.copy(DOCUMENT, document)
    printed = run("benchmarks.bus", "--tiny", "--json", str(figures), "--write", str(document))
    results = json.loads(figures.read_text())
    assert results.keys() >= EVERYWHERE
    for name, package in PEERS.items():
        assert (name in results) != (f"{name} is left out: {package} is not installed here" in printed)
    for name in results.keys() - {"limit"}:
        found = {figure for figure, values in results[name].items() if len(values) == 1 and values[0] > 0}
        assert found >= FIGURES, name
    assert results["limit"]["consumed"][0] > 0
    tables = printed[printed.index("1 round:") :].strip()
    assert "| **Recyclic's bus** |" in tables
    assert "| consume + ack | best raw redis-py loop |" in tables
    before, after = DOCUMENT.read_text(), document.read_text()
    assert tables in after
    assert after.partition("<!-- begin")[0] == before.partition("<!-- begin")[0]
    assert after.partition("<!-- end")[2] == before.partition("<!-- end")[2]


@pytest.mark.parametrize("name", ["shapes", "scale"])
def test_benchmarks_of_shapes_and_scale_write_a_table(name, tmp_path):
    """Every figure stands in its row, beside those that it is compared with."""
    document = tmp_path / "performance.md"
    shutil.copy(DOCUMENT, document)
    table = run(f"benchmarks.bus.{name}", "--tiny", "--write", str(document)).strip()
    assert table in document.read_text()
    rows = [line.split("|")[1:-1] for line in table.splitlines()]
    assert len(rows) > 6
    assert len(rows[0]) > 3
    assert all(len(row) == len(rows[0]) for row in rows)
    assert any("connections" in row[0] for row in rows)
