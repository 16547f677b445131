"""Deadline: real time in which a host must come to rest; it does not run while the test is being debugged."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

STRIDE = 0.5
"""Seconds between two looks that count at most: beyond them this process itself stood still, at a prompt say."""

_DEBUGGERS = ("pydevd", "_pydevd", "bdb", "pdb", "debugpy")


class Deadline:
    """Counts the real seconds in which this process could work. Ask it often."""

    def __init__(
        self,
        seconds: float,
        *,
        now: Callable[[], float] = time.monotonic,
        debugged: Callable[[], bool] | None = None,
    ) -> None:
        self._left = seconds
        self._now = now
        self._debugged = debugged or is_debugged
        self._seen = now()

    @property
    def over(self) -> bool:
        """Whether the time has run out."""
        now = self._now()
        passed, self._seen = now - self._seen, now
        if not self._debugged():
            self._left -= min(passed, STRIDE)
        return self._left <= 0


def is_debugged() -> bool:
    """Return whether a debugger watches this thread."""
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is not None and monitoring.get_tool(monitoring.DEBUGGER_ID) is not None:
        return True
    trace = sys.gettrace()
    module = getattr(trace, "__module__", None) or type(trace).__module__
    return trace is not None and module.partition(".")[0].startswith(_DEBUGGERS)
