"""The module's own process: it runs one phase, reports what it sees, and ends without ceremony."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import threading
import time
import warnings
from pathlib import Path

import recyclic.core.app  # noqa: F401 - warms: the host is imported before the first fork
from recyclic.testing.contract.exercise import exercise
from recyclic.testing.contract.job import Job, Wire
from recyclic.testing.contract.survey import survey
from recyclic.testing.contract.watch import Watch

GRACE = 1.0
"""Seconds beyond a step's limit after which its process is stopped from outside the step."""

_OF_THE_SHOP = ("RECYCLIC_", "DATABASE_URL", "REDIS_URL")


class Steps:
    """Tells which step runs, and stops the process in one that keeps the interpreter busy beyond its limit."""

    def __init__(self, wire: Wire, watch: Watch, limit: float) -> None:
        self.limit = limit
        self._wire = wire
        self._watch = watch
        self._main = threading.get_ident()
        self._ends = float("inf")
        self._changed = threading.Condition()
        threading.Thread(target=self._guard, name="recyclic-check-guard", daemon=True).start()

    def enter(self, step: str, *, factor: float = 1.0) -> None:
        """Begin `step`; it may take `factor` times the limit."""
        seconds = self.limit * factor + GRACE
        self._wire.entering(step, seconds + GRACE)
        with self._changed:
            self._ends = time.monotonic() + seconds
            self._changed.notify()

    def _guard(self) -> None:
        with self._changed:
            while (left := self._ends - time.monotonic()) > 0:
                self._changed.wait(min(left, 3600))
        frame = sys._current_frames().get(self._main)  # noqa: SLF001 - the only way to see where another thread is
        place = self._watch.own_place(frame)
        self._wire.stuck(place, frame.f_code.co_qualname if frame and sys.version_info >= (3, 11) else "")
        os._exit(70)


def live(job: Job, descriptor: int, home: Path) -> None:
    """Run `job`, telling what is seen through `descriptor`. `home` takes what the module writes and prints."""
    with contextlib.suppress(PermissionError):
        os.setsid()
    _move_into(home)
    wire = Wire(descriptor)
    watch = Watch(job.source.path)
    steps = Steps(wire, watch, job.limit)
    if job.phase == "survey":
        steps.enter("import")
        wire.tell(survey(job.source, watch))
    else:
        exercise(job, wire, watch, steps)
    sys.stdout.flush()
    wire.done()
    os._exit(0)


def _move_into(home: Path) -> None:
    """Give the module a folder, a temporary folder and standard streams of its own, and nothing of the shop's."""
    work = home / "work"
    work.mkdir()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(home / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), descriptor)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - lives as long as the process
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as above
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115 - as above
    os.chdir(work)
    os.environ["TMPDIR"] = str(work)
    for name in list(os.environ):
        if name.startswith(_OF_THE_SHOP):
            del os.environ[name]
    sys.dont_write_bytecode = True
    warnings.simplefilter("ignore")


def main() -> None:
    """Read one job on standard input; what `spawn` starts where a fork is not sound."""
    path, job = pickle.load(sys.stdin.buffer)  # noqa: S301 - the warm parent wrote it
    sys.path[:] = path
    live(job, int(sys.argv[1]), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
