"""The workload that every contender carries: one event of about 300 bytes of JSON, and how many of them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from typing import Any

STREAM = "events:session_counted"
GROUP = "accounting"
CONSUMER = "bench-1"
EVENT = "session_counted"

_FIELDS: dict[str, Any] = {
    "session_id": "0197f0c4-5a3e-7c41-9b1d-2f6f3f0f8a11",
    "register_name": "Caisse 1",
    "closed_by": "camille.moreau",
    "ticket_count": 27,
    "total_cents": 18_950,
    "payments": {"cash": 9_950, "card": 6_500, "check": 2_500},
    "counted_cash_cents": 14_950,
    "variance_cents": -140,
    "comment": "erreur de rendu sur le dernier ticket",
    "sent_at": 1_000_000_000_000_000,
}


def payload(sent_at: int = 1_000_000_000_000_000) -> dict[str, Any]:
    """Return the fields of one event; `sent_at` is nanoseconds of the machine's monotonic clock."""
    return {**_FIELDS, "sent_at": sent_at}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured in one round."""

    rounds: int
    backlog: int
    """Events that are emitted a hundred at a time, then consumed and acked."""
    sequential: int
    """Emits that are awaited one after the other."""
    rate: int
    """Events per second of the latency measure."""
    seconds: float
    """How long it emits."""

    @property
    def steady(self) -> int:
        """Return how many events the latency measure counts."""
        return int(self.rate * self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One measure of one contender against one server."""

    name: str
    url: str
    size: Size

    def command(self, measure: str) -> list[str]:
        """Return the command of a process that does this."""
        size = json.dumps(asdict(self.size))
        return [sys.executable, "-m", "benchmarks.bus.child", self.name, measure, self.url, size]


FULL = Size(rounds=5, backlog=50_000, sequential=5_000, rate=500, seconds=6.0)
QUICK = Size(rounds=1, backlog=10_000, sequential=2_000, rate=500, seconds=3.0)
TINY = Size(rounds=1, backlog=500, sequential=100, rate=500, seconds=0.2)
"""For the test that keeps the benchmark from rotting; its figures mean nothing."""
