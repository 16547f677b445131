"""Worker: a real process of the host, that can be killed, stopped and asked to go."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

GRACE = 30.0
"""Seconds that a process gets to end in order."""

WORKER = (sys.executable, "-m", "recyclic", "worker")


class Worker:
    """One process. Its output goes to a file beside the configuration."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], name: str) -> None:
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.name = name
        self.pid = self._process.pid

    @property
    def alive(self) -> bool:
        """Return whether it has not ended."""
        return self._process.poll() is None

    @property
    def status(self) -> int | None:
        """Return its exit status, negative for a signal; None while it lives."""
        return self._process.poll()

    def says(self, text: str) -> bool:
        """Return whether its output holds `text`."""
        return text in self.log.read_text(errors="replace")

    def kill(self) -> None:
        """End it at once: SIGKILL to all its processes."""
        if self.alive:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """Stop it where it stands, and return once it does: SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    async def end(self) -> str | None:
        """Ask it to go; return what was wrong with how it went. It is killed where it does not."""
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.to_thread(self._process.wait, GRACE)
            except subprocess.TimeoutExpired:
                self.kill()
                return f"{self.name} did not end in {GRACE:g} s"
        status = self._process.wait()
        # uvicorn raises the signal again once it has shut down; so does a process that was still starting
        return None if status in (0, -signal.SIGTERM) else f"{self.name} ended with status {status}"
