"""The warm parent: a process of its own that has imported the host and starts one child for each job.

It has one thread, no loop and no Redis, so a fork of it is sound. `python -m recyclic.testing.contract.nursery FD HOW
PATH` reads pickled jobs on standard input and answers in JSON lines on FD; PATH is `sys.path` as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import selectors
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from recyclic.testing.contract.job import Job

_TAIL = 8
_LINGER = 0.5
_LOOK = 0.2
"""Seconds between two looks whether a child has ended while something that it started keeps its pipe open."""


@dataclass
class Child:
    """One running child: its process group, its pipe and what is known of it."""

    number: int
    job: Job
    pid: int
    pipe: int
    home: Path
    killed_at: float
    process: subprocess.Popen[bytes] | None = None
    buffer: bytes = b""
    step: str = ""
    step_ends: float = 0.0
    done: bool = False
    late: bool = False
    stuck_at: dict[str, Any] = field(default_factory=dict)
    status: int | None = None


class Nursery:
    """Runs batches of jobs, `width` at a time, and outlives whatever they do."""

    def __init__(self, jobs: BinaryIO, answers: int, method: str) -> None:
        self._jobs = jobs
        self._answers = answers
        self._fork = method == "fork"
        self._selector = selectors.DefaultSelector()
        self._running: dict[int, Child] = {}

    def serve(self) -> None:
        """Run batch after batch until standard input ends."""
        if self._fork:
            import recyclic.testing.contract.child  # noqa: F401, PLC0415 - warms: every fork has it imported
        try:
            while header := self._jobs.read(8):
                batch: tuple[int, list[Job]] = pickle.loads(self._jobs.read(struct.unpack("!Q", header)[0]))  # noqa: S301 - our parent wrote it
                self._run(*batch)
                self._say({"idle": True})
        finally:
            for child in self._running.values():
                _kill(child.pid)

    def _run(self, width: int, jobs: list[Job]) -> None:
        waiting = deque(enumerate(jobs))
        self._selector.register(self._jobs, selectors.EVENT_READ, None)
        try:
            while waiting or self._running:
                while waiting and len(self._running) < width:
                    self._start(*waiting.popleft())
                now = time.monotonic()
                first = min(
                    min(child.killed_at, child.step_ends or child.killed_at) for child in self._running.values()
                )
                for key, _ in self._selector.select(min(_LOOK, max(0.0, first - now))):
                    if key.data is None:
                        sys.exit(1)  # whoever asked is gone
                    if key.data.number in self._running and not self._read(key.data):
                        self._finish(key.data)
                self._end_the_late()
        finally:
            self._selector.unregister(self._jobs)

    def _start(self, number: int, job: Job) -> None:
        home = Path(tempfile.mkdtemp(prefix="recyclic-check-"))
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        process = None
        if self._fork:
            pid = os.fork()
            if pid == 0:
                self._become(job, writing, home)
        else:
            command = [sys.executable, "-m", "recyclic.testing.contract.child", str(writing), str(home)]
            process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.PIPE, pass_fds=(writing,), start_new_session=True
            )
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(pickle.dumps((sys.path, job)))
                process.stdin.close()
            pid = process.pid
        os.close(writing)
        child = Child(number, job, pid, reading, home, time.monotonic() + job.budget, process)
        self._running[number] = child
        self._selector.register(reading, selectors.EVENT_READ, child)

    def _become(self, job: Job, writing: int, home: Path) -> None:
        """Turn this fork into the module's process. Never returns."""
        from recyclic.testing.contract.child import live  # noqa: PLC0415 - already imported by the warm parent

        try:
            self._selector.close()
            os.close(self._answers)
            for other in self._running.values():
                os.close(other.pipe)
            live(job, writing, home)
        finally:
            os._exit(1)

    def _read(self, child: Child) -> bool:
        """Take what has arrived; return whether the pipe is still open."""
        try:
            data = os.read(child.pipe, 1 << 16)
        except BlockingIOError:
            return True
        if not data:
            return False
        *lines, child.buffer = (child.buffer + data).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError):
                frame = json.loads(line)
                if isinstance(frame, dict):
                    self._take(child, frame)
        return True

    def _take(self, child: Child, frame: dict[str, Any]) -> None:
        if "step" in frame:
            child.step = str(frame["step"])
            seconds = frame.get("seconds")
            child.step_ends = time.monotonic() + float(seconds) if isinstance(seconds, int | float) else 0.0
        elif frame.get("done"):
            child.done, child.step_ends = True, time.monotonic() + _LINGER
        elif "stuck" in frame:
            child.stuck_at, child.step_ends = {"place": frame["stuck"], "detail": str(frame.get("code", ""))}, 1e-9
        else:
            self._say({"job": child.number, "frame": frame})

    def _end_the_late(self) -> None:
        now = time.monotonic()
        for child in list(self._running.values()):
            if child.status is None:
                child.status = _reap(child.pid, 0.0)
            if child.status is not None:
                size = -1
                while self._read(child) and size != len(child.buffer):  # what it said before it ended
                    size = len(child.buffer)
                self._finish(child)
            elif now >= child.killed_at or (child.step_ends and now >= child.step_ends):
                child.late = not child.done
                self._finish(child)

    def _finish(self, child: Child) -> None:
        """Take leave of a child that has ended or whose time is over, and of all that it has started."""
        self._selector.unregister(child.pipe)
        os.close(child.pipe)
        if child.status is None:
            child.status = _reap(child.pid, 0.0 if child.late else _LINGER)
        ended = child.status is not None
        left = _kill(child.pid)
        if not ended:
            _reap(child.pid, 5.0)
        if child.process is not None:
            child.process.returncode = 0  # reaped above
        how = "done" if child.done else "hung" if child.late else "died"
        ending = {
            "phase": child.job.phase,
            "how": how,
            "step": child.step,
            "detail": _described(child.status) if how == "died" else "",
            "output": _tail(child.home / "stderr"),
            "printed": _tail(child.home / "stdout"),
            "left_processes": left and ended,
            **(child.stuck_at if how == "hung" else {}),
        }
        shutil.rmtree(child.home, ignore_errors=True)
        del self._running[child.number]
        self._say({"job": child.number, "ended": ending})

    def _say(self, message: dict[str, Any]) -> None:
        data = memoryview(json.dumps(message).encode() + b"\n")
        while data:
            data = data[os.write(self._answers, data) :]


def _reap(pid: int, seconds: float) -> int | None:
    """Return the wait status of `pid`, or None where it has not ended within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return 0
        if found:
            return status
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.002)


def _kill(pid: int) -> bool:
    """Kill the process group of `pid`; return whether there was anything left to kill."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
        return True
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
    return False


def _described(status: int | None) -> str:
    if status is None:
        return "it closed its way to report and went on"
    if os.WIFSIGNALED(status):
        return f"it was ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"it ended with exit status {os.waitstatus_to_exitcode(status)}"


def _tail(file: Path) -> list[str]:
    """Return the last lines of what the child printed."""
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - 4096))
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line[:300] for line in lines if line.strip()][-_TAIL:]


def main() -> None:
    """Serve on standard input and the descriptor that the command line names."""
    sys.path[:] = json.loads(sys.argv[3])
    jobs = os.fdopen(os.dup(0), "rb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    Nursery(jobs, int(sys.argv[1]), sys.argv[2]).serve()


if __name__ == "__main__":
    main()
