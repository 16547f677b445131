"""Finding: one breach of the module contract, and the place where it stands."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Severity(StrEnum):
    """How much a breach weighs: an `error` fails the check, a `warning` does not."""

    ERROR = "error"
    WARNING = "warning"


class Place(BaseModel):
    """Where something stands: a file, with a line or a key where they are known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = ""
    line: int | None = None
    key: str = ""

    def __str__(self) -> str:
        """Return `file:line: key`, the file relative to the current folder where it lies below it."""
        text = shown(self.file)
        if self.line is not None:
            text = f"{text}:{self.line}"
        return ": ".join(part for part in (text, self.key) if part)


NOWHERE = Place()


def shown(file: str) -> str:
    """Return `file` as a reader wants it: relative to the current folder where it lies below it."""
    if not file or not os.path.isabs(file):  # noqa: PTH117 - a text from a report, and this runs for every finding
        return file
    relative = os.path.relpath(file)
    return file if relative.startswith("..") else relative


@dataclass(frozen=True, slots=True)
class Breach:
    """What a rule's check yields. `remedy` replaces the rule's own where a better one is known."""

    what: str
    place: Place = NOWHERE
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A breach with everything a reader needs: the rule, the module, what, where, and how to mend it."""

    rule: str
    name: str
    severity: Severity
    module: str
    what: str
    place: Place
    remedy: str

    @property
    def key(self) -> tuple[str, str, str, int, str]:
        """Return what findings are ordered by: module, rule, place, text."""
        return (self.module, self.rule, self.place.file, self.place.line or 0, self.what)
