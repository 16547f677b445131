"""What the consuming modules of the drills share: the lines that say when a handling began and ended."""

from __future__ import annotations

import os

from pydantic import BaseModel

from recyclic import EventMeta


class HandlingSettings(BaseModel):
    """Where handlings are written down, and how many seconds one takes."""

    file: str
    seconds: float = 0.0


class Handlings:
    """Appends lines to one file that all processes share; one write each, so that lines never mix.

    A line: `B` or `E` for begin and end, the group, the process, the attempt, the event's number, its id.
    """

    def __init__(self, file: str) -> None:
        self._handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def begin(self, group: str, number: int, meta: EventMeta) -> None:
        self._write("B", group, number, meta)

    def end(self, group: str, number: int, meta: EventMeta) -> None:
        self._write("E", group, number, meta)

    def close(self) -> None:
        os.close(self._handle)

    def _write(self, step: str, group: str, number: int, meta: EventMeta) -> None:
        os.write(self._handle, f"{step} {group} {os.getpid()} {meta.attempt} {number} {meta.id}\n".encode())
