"""EnvironmentReader: the environment variables that override `config.toml`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from recyclic.errors import Problem
from recyclic.nearest import nearest

PREFIX = "RECYCLIC_"
_ALIASES = {"REDIS_URL": ("redis", "url"), "DATABASE_URL": ("database", "url")}
_LISTS = {("modules", "enabled"), ("modules", "path")}


class EnvironmentText(str):
    """A module's setting that came from the environment: text, or JSON where the module's settings want more."""

    __slots__ = ()


class EnvironmentReader:
    """Reads `RECYCLIC_<SECTION>__<KEY>` and `RECYCLIC_MODULES__<ID>__<KEY>`.

    `known` is section → keys, "" for the keys at the top. `sources` afterwards says which variable a value came from.
    """

    def __init__(self, known: Mapping[str, tuple[str, ...]], environ: Mapping[str, str]) -> None:
        self.known = known
        self.environ = environ
        self.sources: dict[tuple[str, ...], str] = {}

    def apply(self, values: dict[str, Any], module_settings: dict[str, dict[str, Any]]) -> list[Problem]:
        """Write what the environment says into both; return what could not be understood."""
        for variable, (section, key) in _ALIASES.items():
            if self.environ.get(variable):
                self._set(values, section, key, self.environ[variable], variable)
        problems: list[Problem] = []
        for variable in sorted(self.environ):
            if variable.startswith(PREFIX):
                problem = self._apply_one(variable, values, module_settings)
                problems += [problem] if problem else []
        return problems

    def _apply_one(
        self, variable: str, values: dict[str, Any], module_settings: dict[str, dict[str, Any]]
    ) -> Problem | None:
        text = self.environ[variable]
        parts = variable.removeprefix(PREFIX).lower().split("__")
        match parts:
            case [key] if key in self.known[""]:
                self._set(values, "", key, text, variable)
            case [section, key] if key in self.known.get(section, ()):
                self._set(values, section, key, text, variable)
            case ["modules", module, *keys] if keys and all((module, *keys)):
                return _nest(module_settings.setdefault(module, {}), keys, text, variable)
            case _:
                return self._unknown(variable, parts)
        return None

    def _set(self, values: dict[str, Any], section: str, key: str, text: str, variable: str) -> None:
        table = values
        if section:
            table = values.setdefault(section, {})
            if not isinstance(table, dict):  # the file is wrong here, and is told so
                return
        table[key] = _listed(text) if (section, key) in _LISTS else text
        self.sources[(section, key) if section else (key,)] = variable

    def _unknown(self, variable: str, parts: list[str]) -> Problem | None:
        names = [_variable(section, key) for section, keys in self.known.items() for key in keys]
        one_line = variable.replace("__", "_")
        meant = [name for name in names if name.replace("__", "_") == one_line]
        if meant:
            return Problem("unknown environment variable", variable, f"did you mean {meant[0]}?")
        if len(parts) == 1:  # other parts of Recyclic have variables of their own
            return None
        return Problem("unknown environment variable", variable, nearest(variable, names))


def _variable(section: str, key: str) -> str:
    return PREFIX + (f"{section}__{key}" if section else key).upper()


def _listed(text: str) -> Any:
    """Read `["a", "b"]` or `a, b` as a list."""
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return [part.strip() for part in text.split(",") if part.strip()]


def _nest(table: dict[str, Any], keys: list[str], text: str, variable: str) -> Problem | None:
    *outer, last = keys
    for key in outer:
        inner = table.setdefault(key, {})
        if not isinstance(inner, dict):
            return Problem(f"{key} is not a table", variable, "remove the key from config.toml or shorten the variable")
        table = inner
    table[last] = EnvironmentText(text)
    return None
