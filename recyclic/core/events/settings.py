"""BrokerSettings: the numbers of the bus, each with its unit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """How the bus retries, recovers and retains. Times are seconds of the host's clock."""

    max_attempts: int = 5
    """After so many attempts that ended badly an entry goes to the dead letters."""
    backoff: float = 1.0
    """The first retry's delay; it doubles with each further one."""
    max_backoff: float = 300.0
    jitter: bool = True
    """Spread delays by up to a fifth, so that what failed together does not come back together."""
    lease: float = 30.0
    """A consumer whose heartbeat counter stands still for so long is dead; it beats six times as often."""
    concurrency: int = 8
    """Handlers of one group that run at once in one process."""
    prefetch: int = 256
    """Entries of one group that wait in this process for a free handler, at most: few where handlers take long."""
    poll: float = 1.0
    """How often to look at everything without being told: retries that other processes scheduled or handed back."""
    maxlen: int = 10_000
    """History kept of each event; what some group has not acked is kept beyond it."""
    retain_days: float = 0.0
    """History younger than this is kept beyond `maxlen`, for replays and audits; 0: the length alone decides."""
    hard_limit: int = 100_000
    """A stream longer than this is reported: some group does not keep up, or is known and no longer run."""
    janitor: float = 60.0
    """How often streams are trimmed."""
    relay_poll: float = 5.0
    """How often the outbox is looked at without being told of a commit."""
    relay_lease: float = 10.0
    """How long a relay that died keeps the others from sending."""
    relay_check: float = 15.0
    """How often the relay asks whether Redis still has what it was sent; it asks with everything it sends, too."""
    outbox_limit: float = 60.0
    """An event that has waited longer in the outbox makes the host `degraded`."""
    outbox_keep: float = 7 * 86_400.0
    """How long sent outbox rows are kept: so far back Redis may lose events, and they are sent again."""

    def delay(self, attempt: int, backoff: float, spread: float) -> float:
        """Return the seconds after failed attempt number `attempt`; `spread`, from -1 to 1, places it in the jitter."""
        plain = min(self.max_backoff, backoff * 2.0 ** min(attempt - 1, 30))
        return plain * (1.0 + 0.2 * spread) if self.jitter else plain


def pause_after(failures: int) -> float:
    """Return the seconds to wait after so many failures of the way to Redis in a row."""
    return min(5.0, 0.05 * 2.0 ** min(failures, 10))
