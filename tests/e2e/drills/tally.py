"""Tally: what the handlers of all processes wrote down, read again and again while they write."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

Thing = tuple[str, int]
"""A group, and the number of an event that it should handle once."""


@dataclass(frozen=True, slots=True)
class Handling:
    """One run of a handler, told at its end."""

    group: str
    number: int
    pid: int
    attempt: int
    event_id: str


class Tally:
    """Counts begins and ends. `read` takes in what was written since the last time."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.ended: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self.ends: list[Handling] = []
        self.begun_by: defaultdict[int, set[Thing]] = defaultdict(set)
        self.overlaps: list[Thing] = []
        self.ids: defaultdict[int, set[str]] = defaultdict(set)
        self._open: defaultdict[int, Counter[Thing]] = defaultdict(Counter)
        self._running: Counter[Thing] = Counter()
        self._offset = 0
        self._rest = b""
        file.touch()

    def read(self) -> None:
        """Take in what is new."""
        with self.file.open("rb") as stream:
            stream.seek(self._offset)
            new = stream.read()
        self._offset += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            step, group, pid, attempt, number, event_id = line.decode().split(" ")
            thing, process = (group, int(number)), int(pid)
            self.ids[thing[1]].add(event_id)
            if step == "B":
                self._begin(thing, process)
            else:
                self._end(thing, process)
                self.ends.append(Handling(group, thing[1], process, int(attempt), event_id))

    def handled(self, group: str) -> int:
        """Return how many different events the group has handled to their end."""
        return len(self.ended[group])

    def running(self, pid: int) -> set[Thing]:
        """Return what a process has begun and not ended."""
        return {thing for thing, count in self._open[pid].items() if count > 0}

    def buried(self, pid: int) -> None:
        """Know that a process is dead: what it had begun runs no more."""
        for thing in self.running(pid):
            self._running[thing] -= self._open[pid][thing]
        self._open[pid].clear()

    def _begin(self, thing: Thing, pid: int) -> None:
        self.begun_by[pid].add(thing)
        if self._running[thing] > 0:
            self.overlaps.append(thing)
        self._open[pid][thing] += 1
        self._running[thing] += 1

    def _end(self, thing: Thing, pid: int) -> None:
        self.ended[thing[0]][thing[1]] += 1
        if self._open[pid][thing] > 0:
            self._open[pid][thing] -= 1
            self._running[thing] -= 1
