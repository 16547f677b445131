"""What is printed on one label and where: one layout, in millimetres, for the screen and for paper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from recyclic.modules.barcodes import ean13
from recyclic.modules.barcodes.french import euros, kilograms

WIDTH = 70.0
HEIGHT = 37.0
MARGIN = 4.0

_MODULE = 0.33  # nominal size of an EAN-13 (GS1 General Specifications, 5.2)
_BARS_LEFT = 5.6  # the quiet zone needs 11 modules, 3.63 mm, to the edge
_BARS_WIDTH = 95 * _MODULE
_QUIET_RIGHT = 7 * _MODULE
_BARS_TOP = 18.5
_BARS_HEIGHT = 11.0
_MM_PER_POINT = 25.4 / 72

Measure = Callable[[str, float, bool], float]
"""Text, size in points and weight to width in millimetres."""


@dataclass(frozen=True, slots=True)
class Item:
    """What a label tells about the thing that it is stuck on."""

    code: str
    label: str
    category_name: str | None
    price_cents: int
    weight_grams: int | None


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text: `x` is its left, middle or right by `anchor`, `y` its base line."""

    text: str
    x: float
    y: float
    points: float
    bold: bool = False
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Bar:
    """A black rectangle."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Face:
    """One label, ready to draw."""

    texts: tuple[Text, ...]
    bars: tuple[Bar, ...]


def compose(item: Item, measure: Measure) -> Face:
    """Lay `item` out. Text that is too long for two lines ends in an ellipsis; nothing leaves the label."""
    width = WIDTH - 2 * MARGIN
    lines = wrap(item.label, width, 2, lambda text: measure(text, 11, True))
    texts = [Text(line, MARGIN, 7.5 + 4.6 * row, 11, bold=True) for row, line in enumerate(lines)]
    if item.category_name:
        category = wrap(item.category_name, width, 1, lambda text: measure(text, 7.5, False))[0]
        texts.append(Text(category, MARGIN, 16.2, 7.5))

    bars = tuple(
        Bar(_BARS_LEFT + start * _MODULE, _BARS_TOP, wide * _MODULE, _BARS_HEIGHT)
        for start, wide in ean13.bars(item.code)
    )
    code = f"{item.code[0]} {item.code[1:7]} {item.code[7:]}"
    texts.append(Text(code, _BARS_LEFT + _BARS_WIDTH / 2, _BARS_TOP + _BARS_HEIGHT + 3.2, 8, anchor="middle"))

    right = WIDTH - MARGIN
    room = right - _BARS_LEFT - _BARS_WIDTH - _QUIET_RIGHT
    price = euros(item.price_cents)
    size = _largest(price, room, lambda points: measure(price, points, True))
    texts.append(Text(price, right, _BARS_TOP + 6.5, size, bold=True, anchor="end"))
    if item.weight_grams is not None:
        texts.append(Text(kilograms(item.weight_grams), right, _BARS_TOP + 11, 8, anchor="end"))
    return Face(tuple(texts), bars)


def wrap(text: str, width: float, lines: int, measure: Callable[[str], float]) -> list[str]:
    """Break `text` between words, and inside a word that is wider than `width`, into at most `lines` lines."""
    rest = " ".join(text.split())
    wrapped: list[str] = []
    while rest and len(wrapped) < lines:
        if measure(rest) <= width:
            return [*wrapped, rest]
        last = len(wrapped) == lines - 1
        kept = _fitting(rest, width, measure, tail="…" if last else "")
        if not last and " " in rest[: len(kept) + 1]:
            kept = rest[: len(kept) + 1].rpartition(" ")[0]
        wrapped.append(f"{kept.rstrip()}…" if last else kept)
        rest = rest[len(kept) :].lstrip()
    return wrapped or [""]


def _fitting(text: str, width: float, measure: Callable[[str], float], tail: str) -> str:
    """Return the longest start of `text`, at least one character, that fits together with `tail`."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if measure(text[:middle] + tail) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low]


def _largest(text: str, width: float, measure: Callable[[float], float]) -> float:
    """Return the largest size up to 18 points in which `text` is at most `width` wide."""
    wide = measure(18)
    return 18.0 if not text or wide <= width else 18 * width / wide


def points_to_mm(points: float) -> float:
    """Return a size in points as millimetres."""
    return points * _MM_PER_POINT
