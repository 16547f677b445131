"""Job: what one module's process is asked to do, and the frames in which it answers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from recyclic.core.manifest import Manifest
from recyclic.core.module_source import ModuleSource
from recyclic.testing.contract import observed
from recyclic.testing.contract.finding import Place
from recyclic.testing.contract.observed import Fact

Phase = Literal["survey", "exercise"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A payload of an event that the module consumes, made from its producer's schema."""

    event: str
    producer: str
    version: int
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """One phase for one module. It travels by pickle, towards the module's process only."""

    phase: Phase
    source: ModuleSource
    limit: float
    """Seconds that one step may take."""
    budget: float
    """Seconds that the whole phase may take, after which the process is killed."""
    manifest: Manifest | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()


class Wire:
    """The way back: one JSON line a frame. What the module's process writes is read as data and never unpickled."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell(self, fact: Fact) -> None:
        """Send something observed."""
        self._write({"fact": type(fact).__name__, "data": fact.model_dump(mode="json")})

    def entering(self, step: str, seconds: float) -> None:
        """Say which step begins, and how long it may take: the last such frame tells where a process ended."""
        self._write({"step": step, "seconds": seconds})

    def stuck(self, place: Place, code: str) -> None:
        """Say where the process is stuck."""
        self._write({"stuck": place.model_dump(), "code": code})

    def done(self) -> None:
        """Say that the phase came to its end."""
        self._write({"done": True})

    def _write(self, frame: dict[str, Any]) -> None:
        data = memoryview(json.dumps(frame).encode() + b"\n")
        while data:
            data = data[os.write(self._descriptor, data) :]


def read_fact(frame: Mapping[str, Any]) -> Fact | None:
    """Return the fact that a frame carries; None where it carries none, or a damaged one."""
    kind = getattr(observed, str(frame.get("fact")), None)
    if not (isinstance(kind, type) and issubclass(kind, Fact)):
        return None
    try:
        return kind.model_validate(frame.get("data"))
    except ValidationError:
        return None
