"""The rounds: each contender in a process of its own, on a server of its own, in turn: A B C, A B C, A B C."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.bus.workload import Run, Size
from recyclic.core.redis_process import ServerProcess, spawn_server

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 600.0
"""Seconds that one process may take."""

Results = dict[str, dict[str, list[float]]]
"""contender → figure → one value for each round."""


@contextlib.contextmanager
def fresh_server() -> Iterator[ServerProcess]:
    """Run a private, empty Redis with an append-only file synced every second, as the embedded one has.

    It ends with this process also where that is told to end.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="bus-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = spawn_server(folder, persistent=True)
        stack.callback(server.stop)
        yield server


def run_rounds(
    names: Sequence[str], measures: Sequence[str], size: Size, say: Callable[[str], None]
) -> tuple[Results, list[str]]:
    """Run every measure of every contender in every round; return the figures, and what failed."""
    results: Results = {name: defaultdict(list) for name in names}
    failures: list[str] = []
    for number in range(size.rounds):
        for measure in measures:
            for name in names:
                say(f"round {number + 1} of {size.rounds}: {measure}, {name}")
                try:
                    for figure, value in run_child(name, measure, size).items():
                        results[name][figure].append(value)
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    failures.append(str(error))
    return {name: dict(figures) for name, figures in results.items()}, failures


def run_child(name: str, measure: str, size: Size, *, profile: str = "") -> dict[str, float]:
    """Run one measure in a new process against a new server.

    Raises:
        RuntimeError: the process failed; with the end of what it wrote.
    """
    with fresh_server() as server:
        command = [*Run(name=name, url=server.url, size=size).command(measure), *([profile] if profile else [])]
        errors = None if profile else subprocess.PIPE
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True, timeout=PATIENCE, check=False
        )
    if done.returncode:
        end = (done.stderr or "")[-4000:]
        raise RuntimeError(f"{name}, {measure}: the process ended with {done.returncode}\n{end}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures
