"""RedisServer: a Redis of a drill's own, with the embedded one's settings, to be killed, filled and looked into."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from drills.tally import Thing
from recyclic.core.redis_process import find_binary

EVENT = "thing_done"
STREAM = f"events:{EVENT}"
PATIENCE = 20.0
"""Seconds that a server may take to load its file."""


class RedisServer:
    """A server on a unix socket in its folder. `client` goes straight to it, whatever lies in the workers' way."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.options = options
        self.socket = folder / "s"
        self.url = f"unix://{self.socket}"
        self.client = Redis(
            unix_socket_path=str(self.socket), protocol=2, socket_timeout=PATIENCE, retry=Retry(NoBackoff(), 0)
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it on what its folder holds, and return once it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        command = [
            *(str(find_binary()), "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder)),
            *("--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction"),
            *("--logfile", str(self.folder / "log"), *self.options),
        ]
        # Python lets its children ignore neither SIGPIPE nor SIGXFSZ again unless told: with a limit on the size of
        # files the server must get an error from its write, as on a full disk, not a signal.
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, restore_signals=False)
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the drill's Redis did not start:\n{self.log()}")
            time.sleep(0.005)  # between two looks at another process

    def answers(self) -> bool:
        """Return whether it has loaded its file and talks."""
        try:
            return bool(self.client.ping())
        except (RedisError, OSError):
            return False

    def kill(self) -> None:
        """End it as a crash does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.client.connection_pool.disconnect()

    def stop(self) -> None:
        """End it in order, if it runs."""
        self.client.close()
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def log(self) -> str:
        """Return the end of its log."""
        path = self.folder / "log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def append_only_file(self) -> Path:
        """Return the append-only file that grows."""
        return max(self.folder.rglob("*.incr.aof"), key=lambda file: file.stat().st_mtime)

    @contextmanager
    def autopsy(self) -> Iterator[RedisServer]:
        """Start another server on a copy of a dead one's files: what it would have, while nobody changes it."""
        copy = self.folder.with_name(f"{self.folder.name}-autopsy")
        shutil.copytree(self.folder, copy, ignore=shutil.ignore_patterns("s"))
        server = RedisServer(copy, *self.options)
        server.start()
        try:
            yield server
        finally:
            server.stop()
            shutil.rmtree(copy)

    # -- what is in it

    def entries(self) -> dict[bytes, int]:
        """Return every retained entry with its event's number."""
        return self._numbered(self.client.xrange(STREAM))

    def pending(self, groups: Sequence[str], pid: int | None = None) -> set[Thing]:
        """Return what was delivered and not acked, of all processes or of one."""
        found: dict[bytes, list[str]] = {}
        for group in groups:
            for row in self._pending(group):
                if pid is None or row["consumer"].startswith(b"%d-" % pid):
                    found.setdefault(row["message_id"], []).append(group)
        numbers = {}
        for entry_id in found:
            numbers.update(self._numbered(self.client.xrange(STREAM, entry_id, entry_id)))
        return {(group, numbers[entry_id]) for entry_id, owners in found.items() for group in owners
                if entry_id in numbers}  # fmt: skip

    def unsettled(self, groups: Sequence[str]) -> set[Thing]:
        """Return what some group has still to ack, delivered or not, at one moment."""
        return self._unsettled(groups)

    def erase(self, groups: Sequence[str], *command: str) -> set[Thing]:
        """Run a command that erases, and return what some group had still to ack in the moment before."""
        return self._unsettled(groups, *command)

    def dead(self, groups: Sequence[str]) -> dict[Thing, str]:
        """Return the dead letters with their reason; one whose event cannot be read is number -1."""
        found = {}
        for group in groups:
            for _, fields in _rows(self.client.xrange(f"dead:{{{STREAM}}}:{group}")):
                data = orjson.loads(orjson.loads(fields[b"fields"]).get("data", "{}"))
                found[group, data.get("number", -1)] = fields[b"reason"].decode()
        return found

    def settled(self, groups: Sequence[str]) -> bool:
        """Return whether every group has acked everything."""
        return not self.unsettled(groups)

    def _unsettled(self, groups: Sequence[str], *command: str) -> set[Thing]:
        pipe = self.client.pipeline(transaction=True)
        pipe.xrange(STREAM)
        pipe.execute_command("XINFO GROUPS", STREAM)
        for group in groups:
            pipe.xpending_range(STREAM, group, "-", "+", 1_000_000)
        if command:
            pipe.execute_command(*command)
        entries, infos, *pendings = pipe.execute(raise_on_error=False)
        numbers = self._numbered(entries)
        cursors = {row["name"].decode(): _id(row["last-delivered-id"]) for row in _rows(infos)}
        unread = {
            (group, number)
            for group in groups
            for entry_id, number in numbers.items()
            if _id(entry_id) > cursors.get(group, (0, 0))
        }
        return unread | {
            (group, numbers[row["message_id"]])
            for group, rows in zip(groups, pendings, strict=False)
            for row in _rows(rows)
            if row["message_id"] in numbers
        }

    def _pending(self, group: str) -> list[Any]:
        return _rows(self.client.xpending_range(STREAM, group, "-", "+", 1_000_000))

    def _numbered(self, entries: Any) -> dict[bytes, int]:
        return {entry_id: orjson.loads(fields[b"data"])["number"] for entry_id, fields in _rows(entries) if fields}


def _rows(reply: Any) -> list[Any]:
    return [] if isinstance(reply, Exception) or reply is None else list(reply)


def _id(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, count = entry_id.partition(b"-")
    return int(milliseconds), int(count)
