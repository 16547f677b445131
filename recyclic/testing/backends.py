"""Backends: where the bus of a test lives: an in-process fake, a private server, a container, or a URL."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from recyclic.testing.report import KitError

if TYPE_CHECKING:
    from redis.asyncio import Redis

NAMES: Final = ("fake", "server", "container")


class Backend(Protocol):
    """Gives each host an empty Redis of its own."""

    name: str

    @property
    def description(self) -> str:
        """What the header and the failure texts call it, version included."""
        ...

    def open(self) -> Any:
        """Return an async context manager that yields `(client, blocking)`; the Redis behind it is empty."""
        ...


_opened: dict[str, Backend] = {}


def parse_backend(text: str) -> str:
    """Return the backend's name, or the URL.

    Raises:
        KitError: it is neither; the text says what there is.
    """
    if text in NAMES or text.startswith(("redis://", "rediss://", "unix://", "valkey://")):
        return text
    raise KitError(f"unknown backend {text!r}: use {', '.join(NAMES)}, or a URL such as redis://127.0.0.1:6379/15")


def backend(text: str) -> Backend:
    """Return the backend of this process; started at its first use, ended with the process."""
    name = parse_backend(text)
    if name not in _opened:
        _opened[name] = _BUILDERS.get(name, UrlBackend)(name)
    return _opened[name]


class FakeBackend:
    """fakeredis: a fresh in-process server per host."""

    def __init__(self, name: str = "fake") -> None:
        self.name = name

    @property
    def description(self) -> str:
        """Name and version."""
        from importlib.metadata import version  # noqa: PLC0415 - kept out of the plugin's import

        return f"fake (fakeredis {version('fakeredis')})"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[Redis, bool]]:
        """Yield a client of a new, empty fake."""
        import fakeredis  # noqa: PLC0415 - kept out of the plugin's import

        client = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer(), protocol=2)
        try:
            yield client, False
        finally:
            await client.aclose()
