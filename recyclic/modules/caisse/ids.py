"""Identifiers: UUIDs of version 7, so that sorting them sorts by the moment they were made."""

from __future__ import annotations

import secrets
import threading
import time
from uuid import UUID

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """Return a new identifier, greater as text than every earlier one of this process.

    Source: RFC 9562, section 5.7, with sub-millisecond time in `rand_a` (section 6.2, method 3).
    """
    global _last  # noqa: PLW0603  one counter a process is what makes the identifiers monotonic
    with _lock:
        _last = max(_last + 1, time.time_ns() * 4096 // 1_000_000)
        moment = _last
    value = (moment >> 12) << 80 | 0x7 << 76 | (moment & 0xFFF) << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(UUID(int=value))
