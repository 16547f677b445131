"""Sampler: plausible JSON values that fit a JSON Schema, the same ones for the same seed."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from recyclic.testing.pattern import matching_text

Schema = Mapping[str, Any]

_DEEPEST = 8
_FIRST_DAY = datetime(2025, 1, 2, 9, 0, tzinfo=UTC)
_WORDS = ("bowl", "lamp", "chair", "bicycle", "teapot", "novel", "frame", "jacket", "puzzle", "mirror")
_PEOPLE = ("Camille", "Dominique", "Élodie", "Farid", "Inès", "Jean-Loup", "Maëlle", "Oumar", "Yann", "Zoé")
_METHODS = ("cash", "card", "check")


class Sampler:
    """Draws values for schemas that share `root`'s definitions. Names guide it: `total_cents` is a sum of money."""

    def __init__(self, root: Schema, random: Random) -> None:
        self._root = root
        self._random = random
        self._moment = _FIRST_DAY + timedelta(days=random.randrange(360), minutes=random.randrange(60))

    def sample(self, schema: Schema, name: str = "", depth: int = 0) -> Any:
        """Return a value that fits `schema`; `name` is the field that it is for."""
        schema = self._resolved(schema)
        for key in ("const", "enum", "examples"):
            if key in schema:
                return schema[key] if key == "const" else self._random.choice(list(schema[key]))
        if options := schema.get("anyOf") or schema.get("oneOf"):
            return self._one_of(options, name, depth)
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((each for each in kind if each != "null"), "null")
        draw = self._draws().get(str(kind))
        if draw is None:
            return self._object(schema, name, depth) if "properties" in schema else self._text({}, name, depth)
        return draw(schema, name, depth)

    def _draws(self) -> dict[str, Callable[[Schema, str, int], Any]]:
        return {
            "null": lambda _schema, _name, _depth: None,
            "boolean": lambda _schema, _name, _depth: self._random.random() < 0.3,
            "integer": lambda schema, name, _depth: int(self._number(schema, name, whole=True)),
            "number": lambda schema, name, _depth: self._number(schema, name, whole=False),
            "string": self._text,
            "array": self._array,
            "object": self._object,
        }

    def _resolved(self, schema: Schema) -> Schema:
        """Follow `$ref` and merge `allOf`."""
        for _ in range(_DEEPEST):
            if "$ref" in schema:
                target: Any = self._root
                for part in str(schema["$ref"]).lstrip("#/").split("/"):
                    target = target[part.replace("~1", "/").replace("~0", "~")]
                schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
            elif "allOf" in schema:
                merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
                for part in schema["allOf"]:
                    merged = {**self._resolved(part), **merged}
                schema = merged
            else:
                break
        return schema

    def _one_of(self, options: list[Schema], name: str, depth: int) -> Any:
        real = [option for option in options if self._resolved(option).get("type") != "null"]
        if not real or (len(real) < len(options) and (depth > _DEEPEST or self._random.random() < 0.2)):
            return None
        return self.sample(real[0] if depth > _DEEPEST else self._random.choice(real), name, depth)

    def _number(self, schema: Schema, name: str, *, whole: bool) -> float:
        low, high = _usual_range(name)
        step = schema.get("multipleOf") or (1 if whole else 0.01)
        if "minimum" in schema or "exclusiveMinimum" in schema:
            least = schema.get("minimum", -math.inf)
            above = schema.get("exclusiveMinimum", -math.inf)
            low = max(low, least, above + step) if max(least, above) <= high else max(least, above + step)
            high = max(high, low)
        if "maximum" in schema or "exclusiveMaximum" in schema:
            high = min(high, schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf) - step)
            low = min(low, high)
        first, last = math.ceil(low / step), math.floor(high / step)
        value = self._random.randint(first, max(first, last)) * step
        return value if whole else round(value, 6)

    def _text(self, schema: Schema, name: str, _depth: int) -> str:
        if pattern := schema.get("pattern"):
            return matching_text(str(pattern), self._random)
        text = self._formatted(str(schema.get("format", "")), name)
        least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
        if len(text) < least:
            text = (text or "a") * (least // max(1, len(text)) + 1)
        return text[: max(least, int(most))] if most is not None and len(text) > int(most) else text

    def _formatted(self, kind: str, name: str) -> str:  # noqa: PLR0911 - one line a format
        match kind:
            case "date-time":
                self._moment += timedelta(minutes=self._random.randrange(5, 240))
                return self._moment.isoformat()
            case "date":
                return self._moment.date().isoformat()
            case "time":
                return self._moment.time().isoformat()
            case "duration":
                return f"PT{self._random.randrange(1, 600)}S"
            case "uuid":
                return str(self._uuid())
            case "email":
                return f"person{self._random.randrange(1000)}@example.org"
            case "uri" | "url":
                return f"https://example.org/{self._random.randrange(1000)}"
            case "ipv4":
                return f"192.0.2.{self._random.randrange(1, 255)}"
        return self._word(name)

    def _word(self, name: str) -> str:
        last = name.rpartition("_")[2]
        if name == "id" or last in {"id", "ref", "reference", "token"}:
            return str(self._uuid())
        if name == "email":
            return f"person{self._random.randrange(1000)}@example.org"
        if last in {"operator", "user", "cashier"} or name in {"first_name", "last_name"}:
            return self._random.choice(_PEOPLE)
        if last in {"number", "code"}:
            return str(self._random.randrange(1, 10_000))
        return self._random.choice(_WORDS)

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        fixed = [self.sample(each, name, depth + 1) for each in schema.get("prefixItems", ())]
        least = int(schema.get("minItems", 0))
        most = int(schema.get("maxItems", max(least, 0 if depth > _DEEPEST else 3)))
        count = self._random.randint(min(max(least, 1 if depth <= _DEEPEST else 0), most), most)
        items: list[Any] = []
        for _ in range(max(0, count - len(fixed)) * 5):
            if len(fixed) + len(items) >= count:
                break
            item = self.sample(schema.get("items") or {}, name.removesuffix("s"), depth + 1)
            if not schema.get("uniqueItems") or item not in items:
                items.append(item)
        return fixed + items

    def _object(self, schema: Schema, name: str, depth: int) -> dict[str, Any]:
        required = set(schema.get("required", ()))
        value = {
            key: self.sample(part, key, depth + 1)
            for key, part in schema.get("properties", {}).items()
            if key in required or depth <= _DEEPEST
        }
        more = schema.get("additionalProperties")
        if isinstance(more, Mapping) and depth <= _DEEPEST:
            keys = _METHODS if name.startswith("payment") else _WORDS[: self._random.randint(1, 3)]
            value.update(
                {key: self.sample(more, "amount_cents" if keys is _METHODS else key, depth + 1) for key in keys}
            )
        return value

    def _uuid(self) -> uuid.UUID:
        return uuid.UUID(int=self._random.getrandbits(128), version=4)


def _usual_range(name: str) -> tuple[float, float]:
    """Return what numbers called `name` usually are; a small count where the name says nothing."""
    if name.endswith("_cents"):
        return (0, 50_000)
    if name.endswith(("_grams", "_g")):
        return (0, 20_000)
    if name.endswith(("_count", "quantity")):
        return (1, 20)
    return (0, 100)
