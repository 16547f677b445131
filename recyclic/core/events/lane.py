"""Lane: what one process has in hand of one group."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from recyclic.core.events.entries import Entry
from recyclic.core.events.subscription import Subscription

QUICK = 0.02
"""Seconds between two reads below which the window grows."""
SLOW = 0.2
"""Seconds between two reads above which it shrinks."""


class Lane:
    """The entries of one subscription between their reading and the confirmed ack.

    At most `window` entries wait in the queue, between twice the concurrency and `prefetch`.
    """

    def __init__(self, subscription: Subscription, prefetch: int) -> None:
        self.subscription = subscription
        self.pair = subscription.pair
        self.queue: deque[Entry] = deque()
        self.held: dict[str, Entry] = {}
        self.claimed: set[str] = set()
        self.suspect_since: float | None = None
        """Since when an entry runs here that may have cost a process its life; seconds of the host's clock."""
        self.freed: Callable[[], None] = lambda: None
        """Called when nothing that was claimed from a dead consumer is in hand any more."""
        self.dead: set[str] = set()
        self.workers = 0
        self._largest = prefetch
        self._smallest = min(prefetch, 2 * subscription.concurrency)
        self._read_at = 0.0
        self.window = self._smallest
        self.unread = True
        self.due = True
        self.doubtful = False
        self.paused = False
        self.reading = False
        """Set while the intake reads new entries or our own pending list."""
        self.listening = False
        """Set while a read of new entries waits behind the doorbell: then the intake reads neither."""

    @property
    def wanting(self) -> bool:
        """Return whether there may be something to take."""
        return self.unread or self.due or self.doubtful or bool(self.dead)

    @property
    def calm(self) -> bool:
        """Return whether all is read, as far as we know, and what comes next can be taken."""
        return not (self.unread or self.doubtful or self.paused or self.reading) and self.room > 0

    @property
    def in_hand(self) -> int:
        """Return how many entries are queued, handled, or with an outcome that is not confirmed.

        While the lane is paused, what is queued waits as if it were unread.
        """
        waiting = sum(self.held.get(entry.id) is entry for entry in self.queue) if self.paused else 0
        return len(self.held) - waiting

    @property
    def hungry(self) -> bool:
        """Return whether it is worth a round trip to fill the queue."""
        return len(self.queue) * 2 <= self.window

    @property
    def readable(self) -> bool:
        """Return whether new entries may be read now."""
        return self.hungry and not self.paused

    @property
    def understaffed(self) -> bool:
        """Return whether one worker more would have something to do."""
        return bool(self.queue) and not self.paused and self.workers < self.subscription.concurrency

    @property
    def room(self) -> int:
        """Return how many entries the queue may take."""
        return self.window - len(self.queue)

    def accept(self, entries: Iterable[Entry], *, claimed: bool = False) -> None:
        """Queue entries. One that is in hand already was delivered anew, and the new delivery counts."""
        for entry in entries:
            self.held[entry.id] = entry
            self.queue.append(entry)
            if claimed:
                self.claimed.add(entry.id)

    def paced(self, now: float, *, whole: bool) -> None:
        """Fit the window to the pace, after a read at the time `now`; `whole` says that it brought all it asked for.

        What is handled quickly is read in large batches; of what takes long little waits here, so that another
        process can have it.
        """
        since, self._read_at = now - self._read_at, now
        if whole and since < QUICK:
            self.window = min(self._largest, self.window * 2)
        elif since > SLOW:
            self.window = max(self._smallest, self.window // 2)

    def next(self) -> Entry | None:
        """Take the next entry from the queue; None where nothing waits."""
        while self.queue:
            entry = self.queue.popleft()
            if self.held.get(entry.id) is entry:
                return entry
        return None

    def release(self, entry: Entry) -> None:
        """Forget an entry: it is settled, scheduled, or another's."""
        if self.held.get(entry.id) is entry:
            del self.held[entry.id]
            if self.claimed:
                self.claimed.discard(entry.id)
                if not self.claimed:
                    self.suspect_since = None
                    self.freed()

    def forget_queue(self) -> None:
        """Forget what has not been started."""
        while self.queue:
            self.release(self.queue.popleft())

    def look(self) -> None:
        """Have everything looked at again; new entries, only where no read waits for them."""
        self.due = True
        self.unread = self.unread or not self.listening
