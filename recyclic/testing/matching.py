"""How a trace compares: ANY, plain values, predicates; and the difference of a near miss, field by field."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final


class _Anything:
    """Equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "ANY"


ANY: Final[Any] = _Anything()
"""Matches any value of a field that is there."""

_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that does not match."""

    field: str
    wanted: str
    got: str


def differences(wanted: Mapping[str, object], data: Mapping[str, Any]) -> list[Difference]:
    """Return where `data` does not match; empty means that it does. Fields that are not named do not matter."""
    found = []
    for name, expected in wanted.items():
        value = data.get(name, _MISSING)
        if value is _MISSING:
            near = difflib.get_close_matches(name, list(data), n=1)
            hint = f"no such field; did you mean {near[0]!r}?" if near else "no such field"
            found.append(Difference(name, describe(expected), hint))
        elif not fits(expected, value):
            found.append(Difference(name, describe(expected), repr(value)))
    return found


def fits(expected: object, value: object) -> bool:
    """Return whether `value`, as it travelled in JSON, is what was expected.

    A callable is a predicate; dates, enums, UUIDs, decimals and models are compared as they travel.
    """
    if isinstance(expected, Callable) and not isinstance(expected, type):  # type: ignore[arg-type]
        return bool(expected(value))  # type: ignore[operator]
    return bool(expected == value) or bool(_as_json(expected) == value)


def describe(expected: object) -> str:
    """Return how an expectation reads: a predicate by its name."""
    if isinstance(expected, Callable) and not isinstance(expected, type):  # type: ignore[arg-type]
        name = getattr(expected, "__name__", type(expected).__name__)
        return "a value for which the given lambda holds" if name == "<lambda>" else f"a value for which {name}() holds"
    return repr(expected)


def closest_name(name: str, known: list[str]) -> str:
    """Return ` (did you mean 'x'?)`, or nothing when no known name is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _as_json(value: object) -> object:
    if isinstance(value, str | int | float | bool | None):
        return value
    from pydantic_core import PydanticSerializationError, to_jsonable_python  # noqa: PLC0415 - only for rich values

    try:
        return to_jsonable_python(value)
    except (PydanticSerializationError, TypeError, ValueError):
        return value
