"""The text of a failure: what is wrong, the timeline, what is outstanding, the backend, how to run it again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from recyclic.testing.errors import KitError, SettleError, StrictError, TraceError
from recyclic.testing.timeline import timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from recyclic.testing.journal import Record

__all__ = ["KitError", "Setting", "SettleError", "StrictError", "TraceError", "failure_text", "story_text"]


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
