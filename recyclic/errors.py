"""Every error that Recyclic raises on purpose: one tree, each message saying what, where and the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `what`, `where` it stands (file, key or line, module) and the `remedy`.

    `rule` is the verifier's rule id (`RCY104`) where one covers the problem.
    """

    what: str
    where: str = ""
    remedy: str = ""
    rule: str = ""

    def __str__(self) -> str:
        """Return the problem as one line: `where: what: remedy`."""
        return ": ".join(part for part in (self.where, self.what, self.remedy) if part)


class RecyclicError(Exception):
    """The root of the tree. Carries every problem that could be known together in `problems`."""

    def __init__(self, problems: str | Problem | Iterable[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConfigError(RecyclicError):
    """Raised when `config.toml` or an environment variable cannot be used."""


class ManifestError(RecyclicError):
    """Raised when a `module.toml` cannot be used."""


class ModuleError(RecyclicError):
    """Raised when modules cannot be found, imported, or do not fit together."""


class LifecycleError(RecyclicError):
    """Raised when a module fails in a step of its life; `module` and `step` name it, `__cause__` is the reason."""

    def __init__(self, module: str, step: str, problem: str | Problem) -> None:
        super().__init__(problem)
        self.module = module
        self.step = step


class EventError(RecyclicError):
    """Raised when an event is undeclared or its payload does not fit; nothing was written."""


class BusError(RecyclicError):
    """Raised when the bus could not do what was asked, for example while Redis is away."""


class BusFullError(BusError):
    """Raised when Redis answers but takes no writes, because its memory or its disk is full."""


class DatabaseError(RecyclicError):
    """Raised when the database cannot be opened, migrated or used."""


class PermissionDeniedError(RecyclicError):
    """Raised when a user lacks the level that an action needs."""
