"""Case: one module and all that is known of it, as the rules see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from recyclic.core.manifest import Manifest
from recyclic.core.module_source import ModuleSource
from recyclic.errors import Problem
from recyclic.testing.contract.finding import Breach, Place
from recyclic.testing.contract.observed import (
    Answer,
    Delivery,
    Ending,
    Fact,
    Life,
    Restart,
    Survey,
    Wiring,
)

PHASES = ("survey", "exercise")


class NotObservedError(Exception):
    """Raised where a rule asks for evidence that could not be had; the text says why. The rule is then not judged."""


@dataclass
class Case:
    """One module under the rules. Evidence that is missing raises, so a rule reads as if all of it were there."""

    id: str
    source: ModuleSource
    parsed: Manifest | None
    problems: tuple[Problem, ...] = ()
    world: Mapping[str, Case] = field(default_factory=dict)
    """Every enabled module by id, in start order, this one included."""
    frontend: Path | None = None
    """The folder of the front end; None where there is none, as in an installed wheel."""
    facts: dict[str, Fact] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    endings: dict[str, Ending] = field(default_factory=dict)
    blocked: str = ""

    @property
    def manifest(self) -> Manifest:
        """Return the manifest.

        Raises:
            NotObservedError: it could not be read.
        """
        if self.parsed is None:
            raise NotObservedError("its manifest cannot be used")
        return self.parsed

    @property
    def survey(self) -> Survey:
        """Return what reading and importing the module showed."""
        found = self.facts.get("survey")
        if not isinstance(found, Survey):
            raise NotObservedError(self._absent("survey"))
        return found

    @property
    def life(self) -> Life:
        """Return what booting and stopping the module showed."""
        found = self.facts.get("life")
        if not isinstance(found, Life):
            raise NotObservedError(self._absent("exercise"))
        return found

    @property
    def wiring(self) -> Wiring:
        """Return what the module registered."""
        found = self.facts.get("wiring")
        if not isinstance(found, Wiring):
            raise NotObservedError(self._absent("exercise"))
        return found

    @property
    def restart(self) -> Restart:
        """Return how a second start went."""
        found = self.facts.get("restart")
        if not isinstance(found, Restart):
            raise NotObservedError(self._absent("exercise"))
        return found

    def must_be_used(self) -> None:
        """Raise unless the module ran and was used: its routes asked, its handlers fed."""
        if "used" not in self.facts:
            raise NotObservedError(self._absent("exercise"))

    def problems_of(self, rule: str) -> list[Breach]:
        """Return the problems that the host itself names under `rule`."""
        return [Breach(each.what, place_of(each.where), each.remedy) for each in self.problems if each.rule == rule]

    def take(self, fact: Fact) -> None:
        """Keep what the module's process reported."""
        match fact:
            case Answer():
                self.answers.append(fact)
            case Delivery():
                self.deliveries.append(fact)
            case Ending():
                self.endings[fact.phase] = fact
            case _:
                self.facts[type(fact).__name__.lower()] = fact

    def _absent(self, phase: str) -> str:
        for earlier in PHASES[: PHASES.index(phase) + 1]:
            ending = self.endings.get(earlier)
            if ending is not None and ending.how != "done":
                return f"its process {ending.how} in {ending.step or earlier}"
        return self.blocked or "it could not be run"


def place_of(where: str) -> Place:
    """Read a problem's `where`: `file:line: key`, `file [key]` or a bare key."""
    file, _, rest = where.partition(":")
    line, _, key = rest.strip().partition(":")
    digits = line.strip()
    if digits.isdigit():
        return Place(file=file, line=int(digits), key=key.strip())
    return Place(file=file, key=rest.strip())
