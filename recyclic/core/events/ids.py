"""Event ids: UUIDv7, sortable by the time they were made."""

from __future__ import annotations

import os

_pool = b""
_used = 0
_SIZE = 10
_POOL = 4096 - 4096 % _SIZE


def new_id(now: float) -> str:
    """Return a UUIDv7 (RFC 9562) of the time `now`, in seconds since the epoch."""
    global _pool, _used  # noqa: PLW0603 - one system call for 409 ids instead of one each
    if _used >= len(_pool):
        _pool, _used = os.urandom(_POOL), 0
    noise = int.from_bytes(_pool[_used : _used + _SIZE], "big")
    _used += _SIZE
    low = 0x8000000000000000 | (noise & 0x3FFFFFFFFFFFFFFF)
    text = f"{int(now * 1000) & 0xFFFFFFFFFFFF:012x}7{(noise >> 62) & 0xFFF:03x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _forget_pool() -> None:
    """Drop the pooled randomness: a forked child must not repeat its parent's ids."""
    global _pool, _used
    _pool, _used = b"", 0


os.register_at_fork(after_in_child=_forget_pool)
