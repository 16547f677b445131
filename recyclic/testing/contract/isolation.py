"""WarmParent: runs each module's job in a process of its own, so that nothing it does can take the check with it."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, Self

from recyclic.errors import Problem, RecyclicError
from recyclic.testing.contract.job import Job, read_fact
from recyclic.testing.contract.observed import Ending, Fact

Method = Literal["fork", "spawn"]


class IsolationError(RecyclicError):
    """Raised when the check's own processes cannot run; nothing was found out about any module."""


class WarmParent:
    """A context manager. The process behind it starts with the first batch and ends with the block."""

    def __init__(self, *, width: int | None = None, method: Method | None = None) -> None:
        self.width = width or os.cpu_count() or 1
        self.method: Method = method or ("spawn" if sys.platform == "darwin" else "fork")
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: Any = None

    def __enter__(self) -> Self:
        """Return itself; the process starts when it is needed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process and all that it has started."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()

    def run(self, jobs: Sequence[Job], on_end: Callable[[Job], None] = lambda _job: None) -> Iterator[tuple[Job, Fact]]:
        """Run the jobs side by side and yield what they report as it comes; each job's last fact is its `Ending`.

        Raises:
            IsolationError: the warm parent itself could not be started or ended.
        """
        if not jobs:
            return
        self._send(jobs)
        for line in self._answers:
            message: dict[str, Any] = json.loads(line)
            if message.get("idle"):
                return
            job = jobs[message["job"]]
            if "ended" in message:
                yield job, Ending.model_validate(message["ended"])
                on_end(job)
            elif (fact := read_fact(message["frame"])) is not None:
                yield job, fact
        raise IsolationError(Problem("the process that starts the modules has ended", remedy="run the check again"))

    def _send(self, jobs: Sequence[Job]) -> None:
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        data = pickle.dumps((self.width, list(jobs)))
        try:
            self._process.stdin.write(struct.pack("!Q", len(data)) + data)
            self._process.stdin.flush()
        except OSError as error:
            raise IsolationError(Problem(f"the process that starts the modules is gone: {error}")) from error

    def _start(self) -> None:
        reading, writing = os.pipe()
        command = [
            sys.executable,
            "-m",
            "recyclic.testing.contract.nursery",
            str(writing),
            self.method,
            json.dumps([entry or os.getcwd() for entry in sys.path]),  # noqa: PTH109 - a text is needed
        ]
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # noqa: PTH100, PTH120
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                command, stdin=subprocess.PIPE, pass_fds=(writing,), env=environment
            )
        except OSError as error:
            os.close(reading)
            raise IsolationError(Problem(f"no process can be started: {error}")) from error
        finally:
            os.close(writing)
        self._answers = os.fdopen(reading, "rb")
