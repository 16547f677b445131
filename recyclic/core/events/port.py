"""Streams: the port between the bus and Redis Streams, in operations by meaning."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from recyclic.core.events.entries import Ack, DeadLetter, Entry, Pair, Snapshot, Verdict, Want
from recyclic.core.events.gauges import EventGauge, Persistence
from recyclic.core.events.handover import HandOver
from recyclic.core.events.standing import Begun, Restored, Retained, StreamState


class News(NamedTuple):
    """What `Streams.news` returns: the streams that have grown, with positions for next time, and what was read."""

    grown: dict[str, str]
    read: list[list[Entry] | None]


class Ledger(Protocol):
    """What operators and the janitor need of Redis, beside the hot path."""

    async def events(self, only: str | None = None) -> list[StreamState]:
        """Return every event's stream, or only one's, with its groups; those of dead letters alone included."""
        ...

    async def dead_letters(self, pair: Pair, *, start: str = "-", end: str = "+", limit: int = 100) -> list[DeadLetter]:
        """Return a group's dead letters from `start` to `end`, oldest first."""
        ...

    async def requeue(self, pair: Pair, letter_id: str, now: float) -> bool:
        """Give a dead letter back to its group, with no attempt counted; return whether there was one.

        Where its entry was trimmed, a copy goes out for this group alone. Exactly one of several callers does it.

        Raises:
            BusError: neither its entry nor its fields are left.
        """
        ...

    async def drop(self, pair: Pair, letter_id: str) -> bool:
        """Delete a dead letter; return whether there was one."""
        ...

    async def trim(
        self, event: str, maxlen: int, *, retain: float = 0.0, now: float = 0.0, exact: bool = False
    ) -> Retained:
        """Trim the stream towards `maxlen`, never beyond what some group has not acked, nor what a replay has not seen.

        What is younger than `retain` seconds stays, by `now` and by the server's clock. Copies for one group are
        deleted once every group has acked them. Whole nodes of the stream go, about a hundred entries each, unless
        `exact`.
        """
        ...

    async def length(self, event: str) -> int:
        """Return how many entries the stream holds."""
        ...

    async def forget(self, pair: Pair) -> bool:
        """Destroy a group with what it has not acked, its retries, its dead letters and its replay."""
        ...

    async def history(self, event: str, start: str, end: str, limit: int) -> tuple[str, list[Entry]]:
        """Return the stream's first entry id, "" where it is empty, and its entries from `start` to `end`."""
        ...

    async def begin_replay(self, pair: Pair, before: str, end: str, asked: Mapping[str, str]) -> Begun:
        """Note that the entries after `before`, up to `end` or to the newest of now, are replayed to the group."""
        ...

    async def replay(self, pair: Pair, position: str, reached: str, entry_ids: Sequence[str]) -> int | None:
        """Send copies of entries to the group, and move its replay from `position` to `reached`, in one step.

        Return how many were sent; None, and nothing sent, where the replay does not stand at `position`.
        """
        ...

    async def end_replay(self, pair: Pair) -> bool:
        """Forget the group's replay; what was sent stays. Return whether there was one."""
        ...

    async def send_copies(self, pair: Pair, entries: Sequence[Mapping[bytes, bytes]]) -> int:
        """Append entries for one group alone; return how many: none where the group does not exist."""
        ...

    async def restore(self, event: str, entries: Sequence[Entry], *, group: str | None = None) -> list[Restored]:
        """Append entries to the event's stream, or to a group's dead letters, under their ids where that is possible.

        An entry that is there already is left alone.
        """
        ...


class Streams(Ledger, Protocol):
    """What the bus needs of Redis. Every operation either happened or raised BusError; a lost reply may be both.

    An entry belongs to the consumer that read or claimed it. `Verdict.LOST` says that it belongs to another by now.
    `reads_behind` says whether `news` can read new entries as well.
    """

    reads_behind: bool

    async def append(self, event: str, fields: Mapping[str, bytes]) -> str:
        """Append an entry to the event's stream, trimming nothing, and return its id."""
        ...

    async def hand_over(self, event: str, entries: Sequence[Mapping[str, bytes]], confirmed: str) -> HandOver:
        """Append the outbox's entries in this order, all or none, and note the last one beside the stream.

        Nothing is appended where the server's note lies before `confirmed`, the newest entry of the outbox's that was
        confirmed: then the server has lost what came after its note.
        """
        ...

    async def handed_over(self, event: str) -> str:
        """Return the server's note: the last entry that came from the outbox, 0-0 without one."""
        ...

    async def ensure_groups(self, pairs: Iterable[Pair]) -> list[Pair]:
        """Create the groups that are missing, at the first retained entry; return those that were created."""
        ...

    async def read(self, consumer: str, wants: Sequence[Want]) -> list[list[Entry] | None]:
        """Read new entries for each want, without waiting; None where the group does not exist."""
        ...

    async def ack(self, consumer: str, acks: Sequence[Ack]) -> list[list[Verdict]]:
        """Ack each entry that is still the consumer's, and forget its attempts."""
        ...

    async def schedule_retry(
        self, pair: Pair, consumer: str, entry_id: str, *, due: float, attempt: int, error: str, now: float
    ) -> Verdict:
        """Store with the entry, which stays pending, that `attempt` failed and when the next one is due."""
        ...

    async def take_due(
        self, consumer: str, wants: Sequence[Want], now: float, horizon: float = math.inf
    ) -> list[list[Entry] | None]:
        """Claim entries whose retry is due, whoever holds them; None where the group does not exist.

        What is due later than `horizon` was scheduled by a clock that was wrong, and is claimed as well.
        """
        ...

    async def claim(
        self, pair: Pair, consumer: str, dead: str, *, limit: int, now: float, max_attempts: int
    ) -> tuple[int, list[Entry]]:
        """Claim from a dead consumer, counting the attempt it died in; return how many it held and those to run.

        A death that other entries shared never counts as the last of `max_attempts`.
        """
        ...

    async def mine(self, pair: Pair, consumer: str) -> list[Entry] | None:
        """Return all that is pending on the consumer and not scheduled; None where the group does not exist."""
        ...

    async def dead_letter(self, pair: Pair, consumer: str, letter: DeadLetter) -> Verdict:
        """Move an entry to the dead letters and ack it, in one atomic step."""
        ...

    async def leave(self, pairs: Sequence[Pair], consumer: str, now: float) -> int:
        """Hand all that is pending on the consumer back, due now, and remove it; return how many it still holds."""
        ...

    async def beat(self, consumer: str) -> dict[str, int]:
        """Raise the consumer's heartbeat counter, and return all of them."""
        ...

    async def forget_beat(self, consumer: str) -> None:
        """Remove a consumer's heartbeat counter."""
        ...

    async def consumers(self, pairs: Sequence[Pair]) -> list[dict[str, int]]:
        """Return for each pair its consumers, each with the number of entries it holds."""
        ...

    async def remove_consumer(self, pair: Pair, consumer: str) -> bool:
        """Remove a consumer that holds nothing; return whether it is gone."""
        ...

    async def tails(self, events: Iterable[str]) -> dict[str, str]:
        """Return where each stream ends now, as positions for `news`."""
        ...

    async def news(self, positions: Mapping[str, str], consumer: str = "", wants: Sequence[Want] = ()) -> News:
        """Wait until a stream has grown beyond its position, or for a while; then read new entries for each want.

        Without wants it takes nothing, and cancelling it loses nothing.
        """
        ...

    async def recall(self) -> None:
        """Have the `news` that is waited for end now, where the server lets us ask for that. Never raises BusError."""
        ...

    async def snapshot(self, pairs: Sequence[Pair], beside: str = "") -> Snapshot:
        """Return the state of all the groups, and the hash `beside` if it is named, at one moment."""
        ...

    async def gauges(self, events: Iterable[str]) -> dict[str, EventGauge]:
        """Return how long each event's stream is and how far its groups are; cheap however much is pending."""
        ...

    async def probe(self) -> None:
        """Write something, to learn whether the server takes writes; raises BusFullError where it is full."""
        ...

    async def persistence(self) -> Persistence:
        """Return how the server keeps what it is given."""
        ...

    async def ping(self) -> None:
        """Ask the server for an answer."""
        ...

    async def close(self) -> None:
        """Give back the connections that the transport opened itself."""
        ...
