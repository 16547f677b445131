"""The keys of one event in Redis: its stream, and what each of its groups has beside it in the same slot."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recyclic.core.events.entries import Pair

STREAM = "events:"
"""What an event's stream is called, before the event's name."""


def pair_keys(pair: Pair) -> tuple[str, str, str]:
    """Return the stream, the sorted set of retries and the hash of attempts, as the scripts take them."""
    event, group = pair
    return f"{STREAM}{event}", f"retry:{{{STREAM}{event}}}:{group}", f"attempts:{{{STREAM}{event}}}:{group}"


def dead_key(pair: Pair) -> str:
    """Return the stream of the group's dead letters."""
    return f"dead:{{{STREAM}{pair[0]}}}:{pair[1]}"


def copies_key(event: str) -> str:
    """Return the list of entries that are copies for one group: of replays, and of requeued or imported events."""
    return f"copies:{{{STREAM}{event}}}"


def replays_key(event: str) -> str:
    """Return the hash of replays that have not ended: how far each has come."""
    return f"replays:{{{STREAM}{event}}}"
