"""How an event's stream stands, for operators: what waits for each group, what is kept and who holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits for one group. `exists` is False where only its dead letters are left."""

    exists: bool
    unread: int
    pending: int
    retrying: int
    """Of the pending ones, those that wait for the time of their retry."""
    dead: int
    newest_dead: str | None
    oldest_unacked: str | None
    """The oldest entry that it has not read or not acked: nothing from there on is trimmed."""
    consumers: int


@dataclass(frozen=True, slots=True)
class ReplayState:
    """A replay to one group that has not ended: it runs, or was interrupted. Ids are entry ids."""

    group: str
    position: str
    """The last entry that was looked at; nothing after it is trimmed."""
    end: str
    sent: int
    since: float | None = None
    until: float | None = None

    @classmethod
    def read(cls, fields: Mapping[bytes, bytes]) -> dict[str, ReplayState]:
        """Read the hash of an event's replays."""
        text = {name.decode(): value.decode() for name, value in fields.items()}

        def time(name: str) -> float | None:
            return float(text[name]) if text.get(name) else None

        return {
            group: cls(
                group,
                position,
                text[f"{group}|end"],
                int(text[f"{group}|sent"]),
                time(f"{group}|since"),
                time(f"{group}|until"),
            )
            for group, position in text.items()
            if "|" not in group
        }


@dataclass(frozen=True, slots=True)
class StreamState:
    """An event's stream: its length, how many of its entries are copies for one group, its groups, its replays."""

    event: str
    length: int
    copies: int
    groups: Mapping[str, Backlog]
    replays: Mapping[str, ReplayState]

    @property
    def dead(self) -> dict[str, int]:
        """Return how many dead letters each group has."""
        return {group: backlog.dead for group, backlog in self.groups.items()}


@dataclass(frozen=True, slots=True)
class Retained:
    """What a look at one stream's retention found."""

    event: str
    trimmed: int
    length: int
    copies: int
    held_by: str | None
    """The group that has not acked the oldest of all unacked entries, or `replay:<group>`; None where all is acked."""
    held_from: str | None
    """That entry."""


class Begun(IntEnum):
    """What came of the wish to begin a replay."""

    NO_GROUP = -1
    UNDER_WAY = 0
    """There is one to this group, running or interrupted."""
    BEGUN = 1


class Restored(IntEnum):
    """What came of an entry that was to be restored."""

    THERE = 0
    """It is there already; nothing was done."""
    SAME = 1
    """It has the entry id that it had."""
    APPENDED = 2
    """Later entries exist, so it has a new entry id."""
