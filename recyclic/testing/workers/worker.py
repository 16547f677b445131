"""Worker: one worker process, as the test sees and treats it."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
from enum import StrEnum
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recyclic.testing.errors import KitError
from recyclic.testing.workers.channel import Channel
from recyclic.testing.workers.process import main, preload

if TYPE_CHECKING:
    from collections.abc import Callable

    from recyclic.testing.journal import Record
    from recyclic.testing.workers.order import Order
    from recyclic.testing.workers.team import Team

BOOT_SECONDS = 60.0
"""Real seconds in which a process must have booted, and in which it must have ended."""
TAIL = 20
"""Lines of a dead process's output that are shown."""


class Condition(StrEnum):
    """How a worker process is."""

    BOOTING = "booting"
    RUNNING = "running"
    PAUSED = "paused"
    KILLED = "killed by the test"
    DEAD = "dead"
    STOPPED = "stopped"


class Worker:
    """One worker process. `kill`, `pause`, `resume` and `restart` treat it as a machine's operator would."""

    def __init__(self, team: Team, number: int, order: Callable[[int], Order]) -> None:
        self.number = number
        self.condition = Condition.STOPPED
        self.running: dict[tuple[str, str, int], Record] = {}
        """Handlers under way: (event id, group, attempt) → the record of their delivery."""
        self._team = team
        self._order = order
        self._process: BaseProcess | None = None
        self._channel: Channel | None = None
        self._log: Path | None = None
        self._ready: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()

    def __str__(self) -> str:
        return f"worker {self.number}" + (f" (pid {self.pid})" if self.pid else "")

    @property
    def pid(self) -> int:
        """The process's id; 0 before its first start."""
        return self._process.pid or 0 if self._process else 0

    @property
    def field(self) -> str:
        """Under what it writes its work in Redis."""
        return f"{self.number}-{self.pid}"

    @property
    def is_alive(self) -> bool:
        """Whether the process is there, paused or not."""
        return self.condition in {Condition.BOOTING, Condition.RUNNING, Condition.PAUSED}

    @property
    def sent(self) -> int:
        """How many messages it was sent."""
        return self._channel.sent if self._channel else 0

    def kill(self) -> None:
        """Kill the process where it stands: no clean-up, no ack. It stays dead until `restart`."""
        self._expect(Condition.RUNNING, Condition.PAUSED, doing="killed")
        self.condition = Condition.KILLED
        self._signal(signal.SIGKILL)
        self._bury()
        self._team.note(f"{self} is killed")

    def pause(self) -> None:
        """Stop the process where it stands (SIGSTOP): it keeps what it holds, and its heart does not beat."""
        self._expect(Condition.RUNNING, doing="paused")
        self.condition = Condition.PAUSED
        self._signal(signal.SIGSTOP)
        self._team.note(f"{self} is paused")

    def resume(self) -> None:
        """Let a paused process go on (SIGCONT). It learns then what time it is."""
        self._expect(Condition.PAUSED, doing="resumed")
        self.condition = Condition.RUNNING
        self._team.note(f"{self} goes on")
        self._signal(signal.SIGCONT)
        self._team.tell_time(self)

    async def restart(self) -> None:
        """Start the process anew: one that runs ends in order first, its running handlers included.

        Raises:
            KitError: it is paused, or the new process does not boot; with the end of what it wrote.
        """
        if self.condition is Condition.PAUSED:
            self._expect(Condition.RUNNING, doing="restarted")
        if self.is_alive:
            await self.stop()
        await self.start()
        self._team.note(f"{self} is started")

    async def revive(self) -> None:
        """Wait for the end of a process that is being killed, and start another in its place."""
        if self._process is not None:
            await asyncio.to_thread(self._process.join, BOOT_SECONDS)
        self._bury()
        await self.start()
        self._team.note(f"{self} is started")

    async def start(self) -> None:
        """Start the process, and return when it consumes."""
        order = self._order(self.number)
        self._log = Path(order.log)
        ours, theirs = socket.socketpair()
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(preload()))
        process = context.Process(target=main, args=(order, theirs), name=f"recyclic worker {self.number}", daemon=True)
        try:
            await asyncio.to_thread(process.start)
        finally:
            theirs.close()
        self._process, self._channel = process, Channel(ours)
        self.condition, self._ready = Condition.BOOTING, self._loop.create_future()
        self._loop.add_reader(self._channel, self.drain)
        self._loop.add_reader(process.sentinel, self._ended)
        try:
            async with asyncio.timeout(BOOT_SECONDS):
                await self._ready
        except TimeoutError:
            self._give_up()
            raise KitError(f"{self} did not boot within {BOOT_SECONDS:g} s:\n{self.tail}") from None
        except BaseException:
            self._give_up()
            raise

    async def stop(self) -> None:
        """End the process in order; one that does not end is killed. Paused ones go on for that."""
        if self.condition is Condition.PAUSED:
            self._signal(signal.SIGCONT)
        self.condition = Condition.STOPPED
        self.send("stop")
        assert self._process is not None
        await asyncio.to_thread(self._process.join, BOOT_SECONDS)
        if self._process.is_alive():
            self._team.told(self, "tasks", "the process did not end and was killed")
            self._signal(signal.SIGKILL)
        self._bury()

    def send(self, *message: Any) -> None:
        """Send the process a message."""
        if self._channel is not None and not self._channel.closed:
            self._channel.send(*message)

    def drain(self) -> None:
        """Take over all that the process has told."""
        if self._channel is None:
            return
        for word, *values in self._channel.receive():
            if word == "ready" and self._ready is not None and not self._ready.done():
                self.condition = Condition.RUNNING
                self._ready.set_result(None)
            elif word == "failed" and self._ready is not None and not self._ready.done():
                self.condition = Condition.DEAD
                self._ready.set_exception(KitError(f"{self} did not boot: {values[0]}"))
            else:
                self._team.hear(self, word, values)
        if self._channel.closed:
            self._loop.remove_reader(self._channel.fileno())

    @property
    def tail(self) -> str:
        """The end of what the process wrote to its standard output and error."""
        text = self._log.read_text(errors="replace") if self._log and self._log.exists() else ""
        lines = text.splitlines()[-TAIL:] or ["it wrote nothing"]
        return "\n".join(f"  | {line}" for line in lines)

    def _give_up(self) -> None:
        """End a process that does not boot."""
        self.condition = Condition.DEAD
        self._signal(signal.SIGKILL)
        self._bury()

    def _ended(self) -> None:
        """The process has ended, and nobody had asked for it."""
        died = self.condition in {Condition.BOOTING, Condition.RUNNING, Condition.PAUSED}
        self._bury()
        if died:
            self.condition = Condition.DEAD
            self._team.died(self, _how(self._process.exitcode if self._process else None))
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(KitError(f"{self} died while it booted:\n{self.tail}"))

    def _bury(self) -> None:
        """Wait for the end of a process that is ending, and take over what it still told."""
        if self._process is None or self._channel is None:
            return
        self._loop.remove_reader(self._process.sentinel)
        self._process.join(BOOT_SECONDS)
        self.drain()
        if not self._channel.closed:
            self._loop.remove_reader(self._channel.fileno())
        self._channel.close()
        self._channel = None
        self._team.gone(self)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        if self._process.is_alive():
            os.kill(self.pid, number)

    def _expect(self, *conditions: Condition, doing: str) -> None:
        if self.condition not in conditions:
            raise KitError(f"{self} cannot be {doing}: it is {self.condition}")


def _how(code: int | None) -> str:
    if code is None:
        return "nobody knows how"
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
