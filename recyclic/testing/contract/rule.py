"""Rule: one promise of the module contract that can be checked, and the registry of all of them."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from recyclic.errors import ConfigError, Problem
from recyclic.testing.contract.finding import Breach, Severity

if TYPE_CHECKING:
    from recyclic.testing.contract.case import Case

Check = Callable[["Case"], Iterable[Breach]]

FAMILIES = {
    "RCY1": "Manifest",
    "RCY2": "Dependencies",
    "RCY3": "Code",
    "RCY4": "Lifecycle",
    "RCY5": "Routes and permissions",
    "RCY6": "Events",
    "RCY7": "User interface",
}
RESERVED = {"RCY705": "an extension writes errors to the browser's console"}
"""Ids that are promised to a rule of a later version: a manifest may ignore them already."""

_ID = re.compile(r"RCY[1-9]\d\d")


class Evidence(IntEnum):
    """What a rule needs to see, from cheap to dear. Only what the selected rules need is gathered."""

    MANIFEST = 1
    """`module.toml` and the configuration; nothing runs."""
    SURVEY = 2
    """The module's sources are read and it is imported, in its own process."""
    EXERCISE = 3
    """The module is booted alone in its own process, with its network cut, and used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A promise with an id that never changes its meaning, why it stands, and how to mend a breach."""

    id: str
    name: str
    severity: Severity
    why: str
    remedy: str
    needs: Evidence
    check: Check

    @property
    def family(self) -> str:
        """Return the family's title."""
        return FAMILIES[self.id[:4]]


_RULES: dict[str, Rule] = {}


def rule(
    rule_id: str,
    name: str,
    *,
    why: str,
    remedy: str,
    needs: Evidence,
    severity: Severity = Severity.ERROR,
) -> Callable[[Check], Check]:
    """Register the decorated function as the check of a rule.

    It is called once a module with the module's `Case` and yields a `Breach` for each thing that is wrong.
    """

    def register(check: Check) -> Check:
        if not _ID.fullmatch(rule_id) or rule_id[:4] not in FAMILIES:
            raise ValueError(f"{rule_id!r} is no rule id of a known family")
        if rule_id in _RULES or rule_id in RESERVED:
            raise ValueError(f"{rule_id} is taken")
        _RULES[rule_id] = Rule(
            id=rule_id, name=name, severity=severity, why=why, remedy=remedy, needs=needs, check=check
        )
        return check

    return register


def all_rules() -> tuple[Rule, ...]:
    """Return every rule, by id. Every file of `rules/` is loaded: dropping one in is all that a family needs."""
    package = importlib.import_module("recyclic.testing.contract.rules")
    for found in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{found.name}")
    return tuple(_RULES[key] for key in sorted(_RULES))


def find_rule(rule_id: str) -> Rule:
    """Return the rule of this id.

    Raises:
        ConfigError: there is none; the text names the nearest.
    """
    rules = {each.id: each for each in all_rules()}
    if found := rules.get(rule_id.upper()):
        return found
    if rule_id.upper() in RESERVED:
        promise = RESERVED[rule_id.upper()]
        raise ConfigError(Problem(f"{rule_id.upper()} is reserved ({promise}); this version checks nothing under it"))
    raise ConfigError(Problem(f"there is no rule {rule_id!r}", remedy=_nearest(rule_id, rules)))


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rules are checked: `--select` and `--ignore`, each an id or the beginning of one (`RCY4`)."""

    rules: tuple[Rule, ...]

    @classmethod
    def of(cls, select: Sequence[str] = (), ignore: Sequence[str] = ()) -> Selection:
        """Choose rules. An empty `select` means every rule; `ignore` wins.

        Raises:
            ConfigError: a prefix fits no rule, or no rule is left.
        """
        rules = all_rules()
        wanted = tuple(_prefixes(select))
        unwanted = tuple(_prefixes(ignore))
        known = [each.id for each in rules] + [key for key in RESERVED if key not in wanted]
        if problems := [
            Problem(f"no rule begins with {prefix!r}", remedy=_nearest(prefix, known))
            for prefix in (*wanted, *unwanted)
            if not any(key.startswith(prefix) for key in known)
        ]:
            raise ConfigError(problems)
        chosen = tuple(
            each
            for each in rules
            if (not wanted or each.id.startswith(wanted)) and not (unwanted and each.id.startswith(unwanted))
        )
        if not chosen:
            raise ConfigError(Problem("no rule is left to check", remedy="select more or ignore less"))
        return cls(chosen)

    @property
    def needs(self) -> Evidence:
        """Return the dearest evidence that a chosen rule needs."""
        return max(each.needs for each in self.rules)


def _prefixes(values: Sequence[str]) -> Iterator[str]:
    for value in values:
        for part in value.split(","):
            if part.strip():
                yield part.strip().upper()


def _nearest(wrong: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(wrong.upper(), list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else "`recyclic rule` lists them all"
