"""Watch: what a module's code does to the world around it, heard through Python's audit hooks."""

from __future__ import annotations

import errno
import os
import socket
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from recyclic.testing.contract.finding import Place
from recyclic.testing.contract.observed import Flaw

_STDLIB = tuple(os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib"))
_KIT = str(Path(__file__).resolve().parent) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

_WORK = {
    "socket.connect": "opens a connection",
    "socket.bind": "binds a socket",
    "socket.getaddrinfo": "looks up a host name",
    "socket.sendto": "sends a datagram",
    "subprocess.Popen": "starts a process",
    "os.system": "starts a process",
    "os.fork": "forks",
    "os.posix_spawn": "starts a process",
    "_thread.start_new_thread": "starts a thread",
    "_thread.start_joinable_thread": "starts a thread",
    "os.putenv": "changes the environment",
    "os.unsetenv": "changes the environment",
    "os.mkdir": "makes a folder",
    "os.remove": "removes a file",
    "os.rename": "renames a file",
    "os.rmdir": "removes a folder",
    "sqlite3.connect": "opens a database",
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND


class Watch:
    """Hears everything that this process does. One lives as long as its process: an audit hook cannot be removed.

    `root` is the module's folder: only what its own code does counts, not what an imported library does by itself.
    """

    def __init__(self, root: Path) -> None:
        self.root = str(root.resolve())
        self.work: list[Flaw] = []
        self.denied: list[Flaw] = []
        self._heeding = False
        self._cut: str | None = None
        sys.addaudithook(self._hear)

    @contextmanager
    def heeding(self) -> Iterator[None]:
        """Record the work that the module's own code does inside the block in `work`."""
        start = threading.Thread.start

        def heard_start(thread: threading.Thread) -> None:
            self._heed("_thread.start_new_thread", ())  # Python 3.11 has no audit event for it
            start(thread)

        threading.Thread.start = heard_start  # type: ignore[method-assign, assignment]
        self._heeding = True
        try:
            yield
        finally:
            self._heeding = False
            threading.Thread.start = start  # type: ignore[method-assign]

    @contextmanager
    def network_cut(self, *, loopback: bool) -> Iterator[None]:
        """Refuse every connection inside the block, and record it in `denied`. `loopback` leaves this machine open."""
        self._cut = "outside" if loopback else "all"
        try:
            yield
        finally:
            self._cut = None

    def owns(self, file: str) -> bool:
        """Return whether `file` belongs to the module."""
        path = os.path.realpath(file)
        return path == self.root or path.startswith(self.root + os.sep)

    def own_place(self, frame: FrameType | None) -> Place:
        """Return the innermost line of the module's own code on the stack of `frame`."""
        while frame is not None:
            if self.owns(frame.f_code.co_filename):
                return Place(file=frame.f_code.co_filename, line=frame.f_lineno)
            frame = frame.f_back
        return Place()

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if self._cut is not None and event in {"socket.connect", "socket.getaddrinfo", "socket.sendto"}:
            self._refuse(event, args)
        if self._heeding:
            self._heed(event, args)

    def _heed(self, event: str, args: tuple[Any, ...]) -> None:
        what = _WORK.get(event)
        if event == "open":
            path, _, flags = args
            if isinstance(flags, int) and flags & _WRITES and path != os.devnull and not isinstance(path, int):
                what = f"writes the file {os.fsdecode(path)!r}"
        if what is None:
            return
        place = self._directly(sys._getframe(2))  # noqa: SLF001 - the audit hook gets no frame; this is the documented way
        if place is not None:
            flaw = Flaw(what=what, place=place)
            if flaw not in self.work:
                self.work.append(flaw)

    def _directly(self, frame: FrameType | None) -> Place | None:
        """Return the module's line when its code, not a library's, asked for the work."""
        while frame is not None:
            file = frame.f_code.co_filename
            if self.owns(file):
                return Place(file=file, line=frame.f_lineno)
            if not _is_plumbing(file):
                return None
            frame = frame.f_back
        return None

    def _refuse(self, event: str, args: tuple[Any, ...]) -> None:
        address = args[:2] if event == "socket.getaddrinfo" else args[1] if len(args) > 1 else ""
        if isinstance(address, str | bytes) or (self._cut == "outside" and _is_loopback(address)):
            return  # a unix socket is of this machine
        text = ":".join(str(part) for part in address[:2]) if isinstance(address, tuple) else str(address)
        flaw = Flaw(what=text, place=self.own_place(sys._getframe(2)))  # noqa: SLF001 - as above
        if flaw not in self.denied:
            self.denied.append(flaw)
        if event == "socket.getaddrinfo":
            raise socket.gaierror(socket.EAI_FAIL, f"the network is cut while the module is checked ({text})")
        raise ConnectionRefusedError(errno.ECONNREFUSED, f"the network is cut while the module is checked ({text})")


def _is_loopback(address: Any) -> bool:
    host = address[0] if isinstance(address, tuple) and address else None
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    return host is None or host in {"localhost", "::1", ""} or str(host).startswith("127.")


def _is_plumbing(file: str) -> bool:
    if file.startswith(("<frozen", "<string>", _KIT)):
        return True
    path = os.path.realpath(file)
    return path.startswith(_STDLIB) and not any(part in path for part in _INSTALLED)
