"""A text that matches a regular expression, drawn with a seed."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from random import Random
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_ALPHABET = string.ascii_letters + string.digits + " _-.,"
_MORE = 4


def matching_text(pattern: str, random: Random, *, tries: int = 50) -> str:
    """Return a text that `pattern` finds a match in.

    Raises:
        ValueError: none was found (look-arounds and back references are followed by luck only).
    """
    tree = parser.parse(pattern)
    for _ in range(tries):
        text = "".join(_draw(tree, random))
        if re.search(pattern, text):
            return text
    raise ValueError(f"no text could be made for the pattern {pattern!r}")


def _draw(tree: Iterable[tuple[Any, Any]], random: Random) -> Iterable[str]:
    for code, value in tree:
        if code is codes.LITERAL:
            yield chr(value)
        elif code is codes.NOT_LITERAL:
            yield random.choice([each for each in _ALPHABET if each != chr(value)])
        elif code is codes.ANY:
            yield random.choice(_ALPHABET)
        elif code is codes.IN:
            yield random.choice(_members(value))
        elif code in {codes.MAX_REPEAT, codes.MIN_REPEAT}:
            least, most, inner = value
            for _ in range(random.randint(least, min(most, least + _MORE))):
                yield from _draw(inner, random)
        elif code is codes.SUBPATTERN:
            yield from _draw(value[3], random)
        elif code is codes.BRANCH:
            yield from _draw(random.choice(value[1]), random)


def _members(parts: Iterable[tuple[Any, Any]]) -> list[str]:
    """Return the printable characters of a set such as `[a-z0-9_]`."""
    negated = False
    chosen: set[str] = set()
    for code, value in parts:
        if code is codes.NEGATE:
            negated = True
        elif code is codes.LITERAL:
            chosen.add(chr(value))
        elif code is codes.RANGE:
            chosen.update(chr(number) for number in range(value[0], min(value[1], value[0] + 255) + 1))
        elif code is codes.CATEGORY:
            chosen.update(each for each in _ALPHABET if _in_category(value, each))
    if negated:
        chosen = set(_ALPHABET) - chosen
    return sorted(chosen) or [" "]


def _in_category(code: Any, character: str) -> bool:
    name = str(code).rpartition("_")[2].lower()
    belongs = {
        "digit": character.isdigit(),
        "space": character.isspace(),
        "word": character.isalnum() or character == "_",
    }[name]
    return not belongs if "_NOT_" in str(code) else belongs
