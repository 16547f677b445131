"""Plain events: those whose fields are JSON as they are, so that nothing has to be converted to write them."""

from __future__ import annotations

from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from recyclic.core.events.event import Event

_NATIVE = {str, int, float, bool, NoneType}


@cache
def is_plain(event: type[Event]) -> bool:
    """Return whether every field holds what JSON has: text, numbers, truth values, nothing, lists and dicts of these.

    False as well where a field, or the whole, is written in its own way, or where fields come that nobody declared.
    """
    if event.model_config.get("extra") == "allow":
        return False
    own = event.__pydantic_decorators__
    if own.field_serializers or own.model_serializers or own.computed_fields:
        return False
    return all(_is_plain_field(field) for field in event.model_fields.values())


def _is_plain_field(field: FieldInfo) -> bool:
    if field.exclude or field.exclude_if or field.serialization_alias is not None:
        return False
    return _native(field.annotation) and not any(
        hasattr(extra, "__get_pydantic_core_schema__") for extra in field.metadata
    )


def _native(annotation: Any) -> bool:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType, list):
        return all(_native(part) for part in parts)
    if origin is dict:
        return parts[0] is str and _native(parts[1])
    return annotation in _NATIVE
