"""Deadline: real time in which a host must come to rest; it does not run while the test is being debugged."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

STRIDE = 0.5
"""Seconds between two looks that count at most: beyond them this process itself stood still, at a prompt say."""

SHARE = 0.9
"""How much of a test's own timeout there is for coming to rest: the rest is for saying what did not."""

_DEBUGGERS = ("pydevd", "_pydevd", "bdb", "pdb", "debugpy")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long hosts of one test are waited for: `seconds` each time, and never beyond the test's own timeout."""

    seconds: float = 10.0
    timeout: float | None = None
    """Real seconds after which something else, pytest-timeout for example, ends the test."""
    started: float = 0.0
    """When the test began, on the real monotonic clock."""
    debugged: Callable[[], bool] | None = None
    """Whether someone looks at the test by hand: then nothing ends it from outside, as pytest-timeout sees it too."""

    @property
    def left(self) -> float:
        """The seconds that a host has now."""
        if self.timeout is None or (self.debugged or is_debugged)():
            return self.seconds
        return max(0.0, min(self.seconds, self.started + SHARE * self.timeout - time.monotonic()))

    def __str__(self) -> str:
        if self.timeout is None or self.seconds <= SHARE * self.timeout:
            return f"{self.seconds:g} s"
        return f"{SHARE:.0%} of the test's own timeout of {self.timeout:g} s"


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
