"""Prints labels on A4 sheets: 24 to a sheet, 70 × 37 mm, the grid that every stationer sells."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Self

import barcode
from fpdf import FPDF
from fpdf.fonts import TTFFont

from recyclic.modules.barcodes.face import HEIGHT, WIDTH, Face, Item, compose

COLUMNS = 3
ROWS = 8
PER_SHEET = COLUMNS * ROWS

_TOP = (297.0 - ROWS * HEIGHT) / 2
_UNICODE_FONT = Path(barcode.__file__).parent / "fonts" / "DejaVuSansMono.ttf"
"""Comes with python-barcode; used for texts that Windows-1252, the core fonts' encoding, cannot hold."""


class Paper(FPDF):
    """A4 sheets whose texts may be in any script."""

    def __init__(self) -> None:
        super().__init__(orientation="portrait", unit="mm", format="A4")
        self.core_fonts_encoding = "cp1252"
        self.set_auto_page_break(auto=False)
        self.set_margin(0)
        self.set_title("Étiquettes")
        self.set_creator("Recyclic")
        self.set_lang("fr")

    def __enter__(self) -> Self:
        """Return the paper; at the end, the font files that it opened are closed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the font files, which fpdf2 leaves open."""
        for font in self.fonts.values():
            if isinstance(font, TTFFont):
                font.ttfont.close()

    def measure(self, text: str, points: float, bold: bool) -> float:  # noqa: FBT001 - the shape of face.Measure
        """Return the width of `text` in millimetres."""
        self.choose_font(text, points, bold=bold)
        return float(self.get_string_width(text))

    def choose_font(self, text: str, points: float, *, bold: bool) -> None:
        """Select Helvetica where it has every character of `text`, the Unicode font where not."""
        try:
            text.encode("cp1252")
        except UnicodeEncodeError:
            if "unicode" not in self.fonts:
                self.add_font("unicode", fname=_UNICODE_FONT)
            self.set_font("unicode", size=points)
        else:
            self.set_font("helvetica", style="B" if bold else "", size=points)

    def paint(self, face: Face, left: float, top: float) -> None:
        """Draw a label with its upper left corner at `left`, `top`."""
        self.set_fill_color(0)
        for bar in face.bars:
            self.rect(left + bar.x, top + bar.y, bar.width, bar.height, style="F")
        for text in face.texts:
            self.choose_font(text.text, text.points, bold=text.bold)
            shift = {"start": 0.0, "middle": 0.5, "end": 1.0}[text.anchor] * self.get_string_width(text.text)
            self.text(left + text.x - shift, top + text.y, text.text)


def sheet_pdf(items: Iterable[Item], first: int = 1) -> bytes:
    """Return a PDF with one label for each of `items`, in order.

    `first` is the place, from 1 to 24, of the first label, so that a sheet with used-up labels can be put in again.
    """
    with Paper() as paper:
        place = first - 1
        for item in items:
            if place % PER_SHEET == 0 or paper.page == 0:
                paper.add_page()
            row, column = divmod(place % PER_SHEET, COLUMNS)
            paper.paint(compose(item, paper.measure), column * WIDTH, _TOP + row * HEIGHT)
            place += 1
        return bytes(paper.output())
