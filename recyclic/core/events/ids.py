"""Event ids: UUIDv7, sortable by the time they were made."""

from __future__ import annotations

import os

_SIZE = 19
"""Hexadecimal digits of randomness that one id takes."""
_POOL = 400 * _SIZE
_VARIANT = {digit: "89ab"[number % 4] for number, digit in enumerate("0123456789abcdef")}

_pool = ""
_used = 0
_millisecond = -1
_prefix = ""


def new_id(now: float) -> str:
    """Return a UUIDv7 (RFC 9562) of the time `now`, in seconds since the epoch."""
    global _pool, _used, _millisecond, _prefix  # noqa: PLW0603 - one system call for 400 ids instead of one each
    start = _used
    if start >= len(_pool):
        _pool, start = os.urandom(_POOL // 2).hex(), 0
    _used = start + _SIZE
    millisecond = int(now * 1000)
    if millisecond != _millisecond:
        digits = f"{millisecond & 0xFFFFFFFFFFFF:012x}"
        _millisecond, _prefix = millisecond, f"{digits[:8]}-{digits[8:]}-7"
    noise = _pool[start : start + _SIZE]
    return f"{_prefix}{noise[:3]}-{_VARIANT[noise[3]]}{noise[4:7]}-{noise[7:]}"


def _forget_pool() -> None:
    """Drop the pooled randomness: a forked child must not repeat its parent's ids."""
    global _pool, _used
    _pool, _used = "", 0


os.register_at_fork(after_in_child=_forget_pool)
