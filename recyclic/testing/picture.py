"""A sequence as a picture: one SVG file that needs nothing else, and that any browser shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from recyclic.testing.timeline import seconds

if TYPE_CHECKING:
    from recyclic.testing.sequence import Message, Sequence

_COLUMN, _ROW, _LEFT, _TOP = 240, 34, 90, 90
_LOOP = 26
"""How far an arrow to its own participant goes to the right, in pixels like all measures here."""
_LABEL = 110
"""Characters of a label; the whole text is the arrow's tooltip."""
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HEADS = (("head", "M 0 0 L 8 4 L 0 8 z", "#1b1f24"), ("cross", "M 1 1 L 7 7 M 7 1 L 1 7", "#b3261e"))
_STYLE = """
text { font: 12px ui-monospace, Menlo, Consolas, monospace; fill: #1b1f24 }
.title { font-weight: bold; font-size: 14px }
.name { font-weight: bold; text-anchor: middle }
.box { fill: #eef3f8; stroke: #5b6b7b }
.life { stroke: #c4ccd4; stroke-dasharray: 4 4 }
.arrow { stroke: #1b1f24; fill: none; marker-end: url(#head) }
.failed { stroke: #b3261e; stroke-dasharray: 6 3; fill: none; marker-end: url(#cross) }
text.failed { stroke: none; fill: #b3261e }
.at { fill: #5b6b7b }
.remark { fill: #fff6d6; stroke: #d9c37a }
"""


def to_svg(shown: Sequence, title: str) -> str:
    """Return the picture as an SVG document."""
    centres = {name: _LEFT + 80 + _COLUMN * number for number, name in enumerate(shown.participants)}
    right = max([*centres.values(), _LEFT + 80])
    width, height = right + _LABEL * 8, _TOP + _ROW * (len(shown.messages) + 2)
    size = {"width": str(width), "height": str(height), "viewBox": f"0 0 {width} {height}"}
    svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", **size})
    _text(ET.SubElement(svg, "title"), title)
    ET.SubElement(svg, "style").text = _STYLE
    _markers(svg)
    _add(svg, "rect", fill="#ffffff", width=width, height=height)
    _text(_add(svg, "text", "title", x=16, y=28), title)
    for name, x in centres.items():
        _add(svg, "line", "life", x1=x, y1=_TOP - 20, x2=x, y2=height - 16)
        _add(svg, "rect", "box", x=x - 90, y=_TOP - 46, width=180, height=26, rx=4)
        _text(_add(svg, "text", "name", x=x, y=_TOP - 28), _short(name, 24))
    for number, message in enumerate(shown.messages):
        _draw(svg, message, centres, right, _TOP + 24 + _ROW * number)
    if not shown.messages:
        _text(_add(svg, "text", x=_LEFT, y=_TOP + 24), "nothing happened")
    return ET.tostring(svg, encoding="unicode", xml_declaration=False) + "\n"


def _draw(svg: ET.Element, message: Message, centres: dict[str, int], right: int, y: int) -> None:
    group = ET.SubElement(svg, "g")
    _text(ET.SubElement(group, "title"), "\n".join(part for part in (message.text, message.detail) if part))
    _text(_add(group, "text", "at", x=16, y=y + 4), f"+{seconds(message.at)}")
    style = "failed" if message.failed else "arrow"
    if not message.target:
        _add(group, "rect", "remark", x=_LEFT - 10, y=y - 14, width=right + 100 - _LEFT, height=24, rx=3)
        _text(_add(group, "text", x=_LEFT, y=y + 3), _short(message.text))
        return
    start, end = centres[message.source], centres[message.target]
    if start == end:
        _add(group, "path", style, d=f"M {start} {y - 6} h {_LOOP} v 14 h {6 - _LOOP}")
        label = start + _LOOP + 8
    else:
        _add(group, "line", style, x1=start, y1=y, x2=end + (6 if end < start else -6), y2=y)
        label = min(start, end) + 10
    _text(_add(group, "text", "failed" if message.failed else "", x=label, y=y - 5), _short(message.text))


def _markers(svg: ET.Element) -> None:
    definitions = ET.SubElement(svg, "defs")
    for name, path, colour in (
        ("head", "M 0 0 L 8 4 L 0 8 z", "#1b1f24"),
        ("cross", "M 1 1 L 7 7 M 7 1 L 1 7", "#b3261e"),
    ):
        marker = _add(definitions, "marker", id=name, refX=6, refY=4, markerWidth=8, markerHeight=8, orient="auto")
        _add(marker, "path", d=path, stroke=colour, fill=colour)


def _add(parent: ET.Element, tag: str, style: str = "", **attributes: object) -> ET.Element:
    named = {"class": style} if style else {}
    return ET.SubElement(parent, tag, {**named, **{name: str(value) for name, value in attributes.items()}})


def _text(element: ET.Element, text: str) -> None:
    element.text = _NO_XML.sub("�", text)


def _short(text: str, room: int = _LABEL) -> str:
    line = " ".join(text.split())
    return line if len(line) <= room else f"{line[: room - 1]}…"
