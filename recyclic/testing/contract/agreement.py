"""Agreement: whether every value that a producer may send is one that a consumer takes, judged by their JSON Schemas.

Conservative: it objects only where the types differ for certain. Narrower ranges are found by sending samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = Mapping[str, Any]

_DEEPEST = 6
_LENIENT = {
    ("integer", "number"),
    ("boolean", "integer"),
    ("boolean", "number"),
}
"""Sent type → wanted type that Pydantic turns it into without a loss."""

_TEXT_TYPES = {
    "date": {"date"},
    "date-time": {"date", "date-time"},
    "time": {"time"},
    "uuid": {"uuid"},
    "duration": {"duration"},
}
"""Wanted format → formats that fit it. A plain text fits none of them for certain."""


@dataclass(frozen=True, slots=True)
class _Kind:
    type: str
    format: str = ""
    schema: Schema | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.type} ({self.format})" if self.format else self.type


def disagreement(wanted: Schema | None, sent: Schema, root: Schema) -> str:
    """Return what `sent` may be and `wanted` does not take, or "". `root` holds the definitions of `sent`."""
    if wanted is None:
        return ""
    return _differ(wanted, wanted, sent, root, 0)


def _differ(wanted: Schema, wanted_root: Schema, sent: Schema, sent_root: Schema, depth: int) -> str:
    takes = list(_kinds(wanted, wanted_root))
    sends = list(_kinds(sent, sent_root))
    if depth > _DEEPEST or any(each.type == "any" for each in (*takes, *sends)):
        return ""
    for each in sends:
        near = [other for other in takes if _fits(each, other)]
        if not near:
            return f"may be {each}, and {' or '.join(map(str, dict.fromkeys(takes)))} is wanted"
        inner = [_inside(other, wanted_root, each, sent_root, depth) for other in near]
        if all(inner):
            return inner[0]
    return ""


def _fits(sent: _Kind, wanted: _Kind) -> bool:
    if sent.type != wanted.type:
        return (sent.type, wanted.type) in _LENIENT
    return wanted.format not in _TEXT_TYPES or sent.format in _TEXT_TYPES[wanted.format]


def _inside(wanted: _Kind, wanted_root: Schema, sent: _Kind, sent_root: Schema, depth: int) -> str:
    """Compare what arrays and objects hold."""
    mine, theirs = wanted.schema or {}, sent.schema or {}
    if wanted.type == "array" and isinstance(mine.get("items"), Mapping) and isinstance(theirs.get("items"), Mapping):
        inner = _differ(mine["items"], wanted_root, theirs["items"], sent_root, depth + 1)
        return f"each item {inner}" if inner else ""
    if wanted.type != "object":
        return ""
    fields, more = theirs.get("properties", {}), theirs.get("additionalProperties")
    for name, schema in mine.get("properties", {}).items():
        other = fields.get(name, more if isinstance(more, Mapping) else None)
        if other is None:
            if name in mine.get("required", ()) and theirs.get("additionalProperties") is False:
                return f"has no {name!r}"
            continue
        if inner := _differ(schema, wanted_root, other, sent_root, depth + 1):
            return f"its {name!r} {inner}"
    each = mine.get("additionalProperties")
    if isinstance(each, Mapping):
        for name, other in [*fields.items(), *([("values", more)] if isinstance(more, Mapping) else [])]:
            if name not in mine.get("properties", {}) and (
                inner := _differ(each, wanted_root, other, sent_root, depth + 1)
            ):
                return f"its {name} {inner}"
    return ""


def _kinds(schema: Schema, root: Schema, depth: int = 0) -> Iterator[_Kind]:
    """Yield every type that a schema allows."""
    if depth > _DEEPEST:
        yield _Kind("any")
        return
    if "$ref" in schema:
        target: Any = root
        for part in str(schema["$ref"]).lstrip("#/").split("/"):
            target = target.get(part, {})
        yield from _kinds(target, root, depth + 1)
    elif options := schema.get("anyOf") or schema.get("oneOf"):
        for option in options:
            yield from _kinds(option, root, depth + 1)
    elif "const" in schema or "enum" in schema:
        values = [schema["const"]] if "const" in schema else schema["enum"]
        yield from dict.fromkeys(_Kind(_type_of(value)) for value in values)
    elif isinstance(schema.get("type"), list):
        for name in schema["type"]:
            yield _Kind(str(name), str(schema.get("format", "")), schema)
    elif "type" in schema:
        yield _Kind(str(schema["type"]), str(schema.get("format", "")), schema)
    else:
        yield _Kind("any")


def _type_of(value: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null", list: "array"}
    return kinds.get(type(value), "object")
