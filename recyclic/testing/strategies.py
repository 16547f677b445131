"""Strategies for Hypothesis: every valid payload of an event, every valid manifest, and `Flow` over a booted host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, Union, get_args, get_origin

from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt, MaxLen, MinLen, MultipleOf
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from recyclic.core.manifest import (
    Checks,
    Dependencies,
    EventsManifest,
    IgnoreRule,
    Manifest,
    Permissions,
    SlotOffer,
    UiManifest,
)
from recyclic.core.manifest_checks import PROP_TYPES
from recyclic.core.permissions import Level, Section
from recyclic.testing.flow import Flow

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy
    from pydantic.fields import FieldInfo

    from recyclic.core.events.event import Event

__all__ = ["Flow", "manifest", "manifest_toml", "payload"]

_BIGGEST: Final = 2**63 - 1
"""The biggest integer that travels on the bus."""
_NESTED: Final[dict[Any, Any]] = {
    list: st.lists,
    set: st.sets,
    frozenset: st.frozensets,
    dict: st.dictionaries,
    tuple: lambda *inner, **size: st.lists(*inner, **size).map(tuple),
    Union: None,
    UnionType: None,
}


def payload(event: type[Event], **given: Any) -> SearchStrategy[dict[str, Any]]:
    """Draw payloads of `event` as JSON values, each valid; fields in `given` are taken as they are, or drawn from.

    Where the event has `examples`, their fields are taken from one of them, as `recyclic simulate` does: they say what
    fits together. Whatever else the event checks is met by drawing again.
    """
    extra: Any = event.model_config.get("json_schema_extra") or {}
    examples: list[dict[str, Any]] = extra.get("examples") or [{}]
    fixed = {name: value if isinstance(value, st.SearchStrategy) else st.just(value) for name, value in given.items()}

    def overlaid(example: dict[str, Any]) -> SearchStrategy[dict[str, Any]]:
        known = {name: st.just(value) for name, value in example.items()}
        return _fields(event, {**known, **fixed})

    drawn = st.sampled_from(examples).flatmap(overlaid)
    return drawn.map(lambda fields: _valid(event, fields)).filter(lambda model: model is not None).map(_dumped)


def _fields(model: type[BaseModel], known: dict[str, Any]) -> SearchStrategy[dict[str, Any]]:
    required: dict[str, SearchStrategy[Any]] = dict(known)
    optional: dict[str, SearchStrategy[Any]] = {}
    for name, field in model.model_fields.items():
        if name not in known:
            (required if field.is_required() else optional)[field.alias or name] = _field(field)
    return st.fixed_dictionaries(required, optional=optional)


def _field(field: FieldInfo) -> SearchStrategy[Any]:
    return _values(field.annotation, _Limits.of(field.metadata))


@dataclass(frozen=True, slots=True)
class _Limits:
    """What a field's annotation says beyond its type."""

    least: Any = None
    most: Any = None
    above: Any = None
    below: Any = None
    step: Any = None
    shortest: int = 0
    longest: int | None = None
    pattern: str | None = None

    @classmethod
    def of(cls, metadata: Any) -> _Limits:
        """Read them, as Pydantic and annotated-types have them."""
        found: dict[str, Any] = {}
        for item in _flat(metadata):
            match item:
                case Ge(ge=value):
                    found["least"] = value
                case Le(le=value):
                    found["most"] = value
                case Gt(gt=value):
                    found["above"] = value
                case Lt(lt=value):
                    found["below"] = value
                case MultipleOf(multiple_of=value):
                    found["step"] = value
                case MinLen(min_length=value):
                    found["shortest"] = value
                case MaxLen(max_length=value):
                    found["longest"] = value
                case _ if pattern := getattr(item, "pattern", None):
                    found["pattern"] = pattern
        return cls(**found)


def _flat(metadata: Any) -> Iterator[Any]:
    for item in metadata:
        if isinstance(item, GroupedMetadata):
            yield from _flat(item)
        else:
            yield item


def _values(annotation: Any, limits: _Limits) -> SearchStrategy[Any]:
    """Draw values of an annotation. What is not ours to know better than Hypothesis, `from_type` draws."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _values(parts[0], _Limits.of(parts[1:]))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return st.deferred(lambda: _models(annotation))
    inner = [_values(part, _Limits()) for part in parts if origin in _NESTED and part is not Ellipsis]
    size = {"min_size": limits.shortest, "max_size": limits.longest}
    if origin in {Union, UnionType}:
        return st.one_of(*inner)
    if origin is tuple and Ellipsis not in parts:
        return st.tuples(*inner)
    if origin in _NESTED:
        drawn: SearchStrategy[Any] = _NESTED[origin](*inner, **size)
        return drawn
    return _plain(annotation, limits)


def _plain(annotation: Any, limits: _Limits) -> SearchStrategy[Any]:
    if annotation is int:
        return _integers(limits)
    if annotation is float and limits.step is None:
        return st.floats(
            min_value=limits.least if limits.above is None else limits.above,
            max_value=limits.most if limits.below is None else limits.below,
            exclude_min=limits.above is not None,
            exclude_max=limits.below is not None,
            allow_nan=False,
            allow_infinity=False,
        )
    if annotation is Decimal:
        return st.decimals(limits.least, limits.most, allow_nan=False, allow_infinity=False, places=2)
    if annotation is str and limits.pattern is not None:
        return st.from_regex(limits.pattern)
    if annotation is str:
        return st.text(min_size=limits.shortest, max_size=limits.longest)
    return st.from_type(annotation)


def _integers(limits: _Limits) -> SearchStrategy[int]:
    step = limits.step or 1
    lows = [limits.least, None if limits.above is None else limits.above + 1, -_BIGGEST]
    highs = [limits.most, None if limits.below is None else limits.below - 1, _BIGGEST]
    least, most = max(n for n in lows if n is not None), min(n for n in highs if n is not None)
    return st.integers(-(-least // step), most // step).map(lambda number: number * step)


def _models(model: type[BaseModel]) -> SearchStrategy[BaseModel]:
    drawn = _fields(model, {}).map(lambda fields: _valid(model, fields))
    return drawn.filter(lambda found: found is not None)  # type: ignore[return-value]


def _valid(model: type[BaseModel], fields: dict[str, Any]) -> BaseModel | None:
    try:
        return model.model_validate(fields)
    except ValidationError:
        return None


def _dumped(model: BaseModel | None) -> dict[str, Any]:
    assert model is not None
    return model.model_dump(mode="json")


# Manifests.

_NAMES: Final = st.from_regex(r"[a-z][a-z0-9]{0,8}(_[a-z0-9]{1,8}){0,2}", fullmatch=True)
_LINES: Final = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=40)
_NUMBERS: Final = st.integers(0, 99)
_VERSIONS: Final = st.tuples(_NUMBERS, _NUMBERS, _NUMBERS).map(lambda parts: "{}.{}.{}".format(*parts))
_REQUIREMENTS: Final = st.builds("{}>={}".format, st.sampled_from(["httpx", "python-barcode", "fpdf2"]), _VERSIONS)
_RULES: Final = st.builds(IgnoreRule, st.from_regex(r"RCY[1-9][0-9]{2}", fullmatch=True), _LINES)


def _unique(items: SearchStrategy[str]) -> SearchStrategy[tuple[str, ...]]:
    return st.lists(items, unique=True, max_size=4).map(tuple)


def manifest(module_id: SearchStrategy[str] | str = _NAMES) -> SearchStrategy[Manifest]:
    """Draw manifests that have no problem, of modules with drawn ids or of the one named."""
    ids = st.just(module_id) if isinstance(module_id, str) else module_id
    return ids.flatmap(_manifest_of)


def _manifest_of(module_id: str) -> SearchStrategy[Manifest]:
    below = st.from_regex(r"(/[A-Za-z0-9_:-]{1,8}){0,3}", fullmatch=True)
    pages = below.map(lambda tail: f"/modules/{module_id}{tail}")
    levels = st.sampled_from([level for level in Level if level is not Level.NONE])
    offers = st.builds(SlotOffer, st.dictionaries(_NAMES, st.sampled_from(PROP_TYPES), max_size=3))
    return st.builds(
        Manifest,
        id=st.just(module_id),
        name=_LINES,
        version=_VERSIONS,
        description=_LINES,
        permissions=st.builds(Permissions, st.sampled_from(Section), levels),
        ui=st.builds(
            UiManifest,
            routes=_unique(pages),
            slots=_unique(_NAMES),
            api=_unique(_NAMES),
            provides=st.dictionaries(_NAMES, offers, max_size=2),
        ),
        events=st.builds(EventsManifest, emits=_unique(_NAMES), consumes=_unique(_NAMES), group=_NAMES),
        dependencies=st.builds(Dependencies, modules=_unique(_NAMES), python=_unique(_REQUIREMENTS)),
        checks=st.builds(Checks, st.lists(_RULES, max_size=2).map(tuple)),
    )


def manifest_toml(drawn: Manifest) -> str:
    """Return a manifest as the text of its `module.toml`."""
    provides = {slot: {"props": dict(offer.props)} for slot, offer in drawn.ui.provides.items()}
    tables: dict[str, dict[str, Any]] = {
        "permissions": {"section": drawn.permissions.section, "level": drawn.permissions.level},
        "ui": {"routes": drawn.ui.routes, "slots": drawn.ui.slots, "api": drawn.ui.api, "provides": provides},
        "events": {"emits": drawn.events.emits, "consumes": drawn.events.consumes, "group": drawn.events.group},
        "dependencies": {"modules": drawn.dependencies.modules, "python": drawn.dependencies.python},
        "checks": {"ignore": [{"rule": each.rule, "reason": each.reason} for each in drawn.checks.ignore]},
    }
    top = {"name": drawn.name, "version": drawn.version, "description": drawn.description}
    lines = [f"{key} = {_toml(value)}" for key, value in top.items()]
    for table, values in tables.items():
        lines += [f"[{table}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
    return "\n".join([*lines, ""])


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return "[" + ", ".join(map(_toml, value)) + "]"
