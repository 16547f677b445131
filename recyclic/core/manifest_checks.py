"""TableReader: reads one table of a manifest key by key and gathers what is wrong, under the verifier's rule ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Any, TypeVar

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from recyclic.errors import Problem
from recyclic.nearest import nearest
from recyclic.version import __version__

PROP_TYPES = ("string", "number", "boolean", "string[]", "number[]")
"""What a slot's context may be made of: the types that a JSON value of a page has."""

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_RULE = re.compile(r"RCY[1-9][0-9]{2}")
_ROUTE = re.compile(r"(/[A-Za-z0-9_.~:-]+)+")
_MAX_NAME = 64

E = TypeVar("E", bound=StrEnum)


def is_name(text: str) -> bool:
    """Return whether `text` is snake_case and of bearable length: an id, an event, a slot, a group."""
    return len(text) <= _MAX_NAME and bool(_NAME.fullmatch(text))


def is_rule_id(text: str) -> bool:
    """Return whether `text` looks like a rule of the verifier."""
    return bool(_RULE.fullmatch(text))


def is_ui_route(route: str, module_id: str) -> bool:
    """Return whether `route` is the module's page or lies below it."""
    own = f"/modules/{module_id}"
    inside = route == own or route.startswith(own + "/")
    return inside and bool(_ROUTE.fullmatch(route)) and not {".", ".."} & set(route.split("/"))


class TableReader:
    """One table. Each method reads a key, notes what is wrong with it, and returns a value or a harmless default."""

    def __init__(self, raw: dict[str, Any], where: str, path: str = "", problems: list[Problem] | None = None) -> None:
        self.raw = raw
        self.where = where
        self.path = path
        self.problems: list[Problem] = [] if problems is None else problems
        self._known: set[str] = set()

    def wrong(self, key: str, what: str, remedy: str, rule: str) -> None:
        """Note a problem of `key`."""
        self.problems.append(Problem(what, f"{self.where}: {self._place(key)}", remedy, rule))

    def refuse_the_rest(self) -> None:
        """Note every key that nothing has asked for."""
        for key in self.raw.keys() - self._known:
            self.wrong(_short(key), "unknown key", nearest(key, self._known), "RCY103")

    def table(self, key: str, *, required: bool = False) -> TableReader:
        """Return the table `key`; an empty one where there is none."""
        value = self._take(key, dict, "a table", {}, required=required)
        return TableReader(value, self.where, f"{self.path}.{key}" if self.path else key, self.problems)

    def text(self, key: str, *, required: bool = False) -> str:
        """Return a text that is not blank."""
        value: str = self._take(key, str, "text", "", required=required)
        if key in self.raw and isinstance(self.raw[key], str) and not value.strip():
            self.wrong(key, "this is empty", "write it", "RCY104")
        return value.strip()

    def version(self, key: str) -> str:
        """Return a PEP 440 version."""
        value = self.text(key, required=True)
        try:
            return str(Version(value)) if value else value
        except InvalidVersion:
            self.wrong(key, f"{_short(value)!r} is not a version", 'write one like "1.2.0" (PEP 440)', "RCY105")
            return value

    def host_requirement(self, key: str) -> str:
        """Return the versions of the host that the module works with, which this one must be among."""
        value = self.text(key)
        try:
            fits = SpecifierSet(value).contains(__version__, prereleases=True)
        except InvalidSpecifier:
            self.wrong(key, f"{_short(value)!r} is not a version range", 'write one like ">=0.1" (PEP 440)', "RCY104")
            return value
        if not fits:
            what = f"the module needs a host {value}, this is {__version__}"
            self.wrong(key, what, "update Recyclic or take another version of the module", "RCY109")
        return value

    def choice(self, key: str, kind: type[E], default: E, *, refused: Collection[E] = ()) -> E:
        """Return one of the words of `kind`."""
        value = self.text(key, required=True)
        words = [str(word) for word in kind if word not in refused]
        if value in words:
            return kind(value)
        if value:
            self.wrong(key, f"{_short(value)!r} is no {key}", nearest(value, words), "RCY106")
        return default

    def name(self, key: str, default: str) -> str:
        """Return a snake_case name."""
        value = self.text(key)
        if value and not is_name(value):
            self.wrong(key, f"{_short(value)!r} is not a name", "names are snake_case", "RCY104")
        return value or default

    def names(self, key: str, fits: Callable[[str], bool], *, rule: str, remedy: str) -> tuple[str, ...]:
        """Return a list of texts, each fitting and each once."""
        names = self._texts(key)
        for name in dict.fromkeys(names):
            if not fits(name):
                self.wrong(key, f"{_short(name)!r} does not fit", remedy, rule)
            if names.count(name) > 1:
                self.wrong(key, f"{_short(name)!r} stands here twice", "name it once", rule)
        return tuple(names)

    def requirements(self, key: str) -> tuple[str, ...]:
        """Return a list of PEP 508 requirements."""
        texts = self._texts(key)
        for text in texts:
            try:
                Requirement(text)
            except (InvalidRequirement, RecursionError):
                self.wrong(key, f"{_short(text)!r} is not a requirement", 'write one like "httpx>=0.27"', "RCY104")
        return tuple(texts)

    def prop_types(self, key: str) -> dict[str, str]:
        """Return name → type of a slot's context."""
        props = self.table(key)
        for name, kind in props.raw.items():
            if not is_name(name):
                props.wrong(_short(name), "this is not a name", "names are snake_case", "RCY104")
            if kind not in PROP_TYPES:
                props.wrong(_short(name), f"{_short(str(kind))!r} is no type", nearest(str(kind), PROP_TYPES), "RCY104")
        return {str(name): str(kind) for name, kind in props.raw.items()}

    def ignored(self, key: str, fits: Callable[[str], bool]) -> list[tuple[str, str]]:
        """Return the pairs rule, reason of a list of tables."""
        pairs = []
        for position, item in enumerate(self._take(key, list, "a list of tables", [])):
            place = f"{key}[{position}]"
            if not isinstance(item, dict):
                self.wrong(place, "this is not a table", 'write { rule = "RCY…", reason = "…" }', "RCY110")
                continue
            rule, reason = item.get("rule"), item.get("reason")
            if not isinstance(rule, str) or not fits(rule):
                self.wrong(place, "the rule's id is missing or malformed", 'write rule = "RCY705"', "RCY110")
            elif not isinstance(reason, str) or not reason.strip():
                self.wrong(place, f"{rule} is ignored without a reason", 'write reason = "…"', "RCY110")
            else:
                pairs.append((rule, reason.strip()))
            for unknown in item.keys() - {"rule", "reason"}:
                self.wrong(place, f"unknown key {_short(unknown)}", nearest(unknown, ("rule", "reason")), "RCY103")
        return pairs

    def _texts(self, key: str) -> list[str]:
        values: list[Any] = self._take(key, list, "a list of texts", [])
        for value in values:
            if not isinstance(value, str):
                self.wrong(key, f"{_short(repr(value))} is not text", "put it in quotes", "RCY104")
        return [value for value in values if isinstance(value, str)]

    def _take(self, key: str, kind: type, called: str, default: Any, *, required: bool = False) -> Any:
        self._known.add(key)
        if key not in self.raw:
            if required:
                self.wrong(key, "this key is missing", "add it: see docs/module-contract.md", "RCY102")
            return default
        value = self.raw[key]
        if not isinstance(value, kind):
            self.wrong(key, f"{_short(repr(value))} is not {called}", f"write {called}", "RCY104")
            return default
        return value

    def _place(self, key: str) -> str:
        return f"[{self.path}] {key}" if self.path else key


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"
