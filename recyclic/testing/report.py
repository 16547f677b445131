"""The text of a failure: what is wrong, the timeline, what is outstanding, the backend, how to run it again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from recyclic.testing.journal import Record
from recyclic.testing.timeline import timeline


class KitError(Exception):
    """Raised when the kit is used wrongly: an unknown module, acts that nest, another loop. Says what to do instead."""


class TraceError(AssertionError):
    """Raised when a trace does not hold what a test asserts."""


class SettleError(AssertionError):
    """Raised when the system does not come to rest in time; the text names what is outstanding and who owns it."""


class StrictError(AssertionError):
    """Raised at the end of a test for what nobody asked for: handler errors, dead letters, leaks, faults unused."""


@dataclass(slots=True)
class Setting:
    """Where a host runs: what every failure text ends with."""

    backend: str
    rerun: str = ""
    outstanding: Sequence[str] = field(default_factory=tuple)


def failure_text(problem: str, story: str) -> str:
    """Return the whole text of a failure."""
    return f"{problem}\n\n{story}"


def story_text(title: str, records: Iterable[Record], setting: Setting) -> str:
    """Return the timeline with its heading, what is outstanding, and the command to run it again."""
    lines = [f"{title}, on {setting.backend}:"]
    lines += timeline(records) or ["  nothing happened"]
    if setting.outstanding:
        lines.append("outstanding:")
        lines += [f"  {item}" for item in setting.outstanding]
    else:
        lines.append("outstanding: nothing")
    if setting.rerun:
        lines.append(f"rerun: {setting.rerun}")
    return "\n".join(lines)
