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
    """Return where `data` does not match; empty means that it does.

    Fields that are not named do not matter; an object or a list inside must match as a whole, and is told by its parts.
    """
    found: list[Difference] = []
    for name, expected in wanted.items():
        value = data.get(name, _MISSING)
        if value is _MISSING:
            found.append(_missing(name, name, expected, data))
        else:
            found += _compared(name, expected, value)
    return found


def _compared(path: str, expected: object, value: object) -> list[Difference]:
    """Return where a value differs: inside of objects and lists at the very field, `lines[0].label`."""
    if fits(expected, value):
        return []
    if isinstance(expected, Mapping) and isinstance(value, Mapping):
        return _compared_objects(path, expected, value)
    if isinstance(expected, list | tuple) and isinstance(value, list):
        if len(expected) != len(value):
            return [Difference(path, describe(expected), f"{value!r}: {len(value)} items, not {len(expected)}")]
        pairs = enumerate(zip(expected, value, strict=True))
        return [difference for at, pair in pairs for difference in _compared(f"{path}[{at}]", *pair)]
    return [Difference(path, describe(expected), repr(value))]


def _compared_objects(path: str, expected: Mapping[str, object], value: Mapping[str, Any]) -> list[Difference]:
    found: list[Difference] = []
    for name, inner in expected.items():
        if name in value:
            found += _compared(f"{path}.{name}", inner, value[name])
        else:
            found.append(_missing(f"{path}.{name}", name, inner, value))
    more = [name for name in value if name not in expected]
    return [*found, *(Difference(f"{path}.{name}", "no such field", repr(value[name])) for name in more)]


def _missing(path: str, name: str, expected: object, data: Mapping[str, Any]) -> Difference:
    near = difflib.get_close_matches(name, list(data), n=1)
    hint = f"no such field; did you mean {near[0]!r}?" if near else "no such field"
    return Difference(path, describe(expected), hint)


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
