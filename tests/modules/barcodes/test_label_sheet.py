"""Labels on paper and on the screen: all there, readable, inside their borders."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from recyclic.modules.barcodes import face
from recyclic.modules.barcodes.ean13 import in_store_code
from recyclic.modules.barcodes.face import Item
from recyclic.modules.barcodes.french import euros, kilograms
from recyclic.modules.barcodes.sheet import PER_SHEET, Paper, sheet_pdf
from recyclic.modules.barcodes.svg import label_svg

SVG = "{http://www.w3.org/2000/svg}"


def item(label="Fauteuil Voltaire", *, category="Ameublement & Literie", price=12_500, weight=14_250, number=1):
    return Item(in_store_code(number), label, category, price, weight)


def texts(label: Item) -> list[str]:
    with Paper() as paper:
        return [line.text for line in face.compose(label, paper.measure).texts]


@pytest.mark.parametrize(
    ("cents", "text"),
    [(0, "0,00 €"), (5, "0,05 €"), (1250, "12,50 €"), (123_456_789, "1 234 567,89 €"), (-250, "-2,50 €")],
)
def test_prices_are_written_the_french_way(cents, text):
    assert euros(cents) == text.replace(" ", "\N{NO-BREAK SPACE}")


@pytest.mark.parametrize(("grams", "text"), [(0, "0,000 kg"), (850, "0,850 kg"), (1_234_567, "1 234,567 kg")])
def test_weights_are_kilograms_with_three_decimals(grams, text):
    assert kilograms(grams) == text.replace(" ", "\N{NO-BREAK SPACE}")


def test_label_tells_text_category_code_price_and_weight():
    assert texts(item()) == [
        "Fauteuil Voltaire",
        "Ameublement & Literie",
        "2 000000 000015",
        euros(12_500),
        kilograms(14_250),
    ]


def test_what_is_unknown_leaves_no_trace():
    assert texts(item(category=None, weight=None)) == ["Fauteuil Voltaire", "2 000000 000015", euros(12_500)]


@pytest.mark.parametrize(
    "label",
    [
        "W" * 200,
        "i" * 500,
        "un " * 100,
        "Fauteuil Voltaire, tissu refait, très bon état, à venir chercher",
        "Łódź " * 30,
    ],
)
@pytest.mark.parametrize("price", [0, 99_999_999_999])
def test_nothing_leaves_the_label(label, price):
    with Paper() as paper:
        drawn = face.compose(item(label, category=label, price=price, weight=999_999_999), paper.measure)
        for text in drawn.texts:
            width = paper.measure(text.text, text.points, text.bold)
            left = text.x - {"start": 0, "middle": width / 2, "end": width}[text.anchor]
            assert left >= 3.9
            assert left + width <= face.WIDTH - 3.9
            assert face.points_to_mm(text.points) * 0.7 < text.y < face.HEIGHT - 2
        last = max(bar.x + bar.width for bar in drawn.bars)
        price_line = next(text for text in drawn.texts if text.bold and text.anchor == "end")
        assert price_line.x - paper.measure(price_line.text, price_line.points, True) >= last + 7 * 0.33 - 0.01


def test_long_text_breaks_between_words_and_ends_in_an_ellipsis():
    lines = face.wrap("un deux trois quatre cinq", 9, 2, len)
    assert lines == ["un deux", "trois qu…"]
    assert face.wrap("un deux", 9, 2, len) == ["un deux"]
    assert face.wrap("anticonstitutionnellement", 10, 2, len) == ["anticonsti", "tutionnel…"]
    assert face.wrap("abcdefghi xyz", 9, 2, len) == ["abcdefghi", "xyz"]


def test_svg_escapes_what_it_shows():
    root = ET.fromstring(label_svg(item('<script>alert("é & œ")</script>')))
    shown = [text.text for text in root.iter(f"{SVG}text")]
    assert '<script>alert("é & œ")</script>' in "".join(shown)
    assert not list(root.iter(f"{SVG}script"))


def test_svg_draws_every_bar_in_its_real_size():
    root = ET.fromstring(label_svg(item()))
    assert (root.get("width"), root.get("viewBox")) == ("70mm", "0 0 70 37")
    assert root.find(f"{SVG}path").get("d").count("M") == 30  # an EAN-13 has 30 bars


@pytest.mark.parametrize(("count", "first", "pages"), [(1, 1, 1), (24, 1, 1), (25, 1, 2), (2, 24, 2), (23, 2, 1)])
def test_labels_fill_sheet_after_sheet(count, first, pages):
    pdf = sheet_pdf([item(number=number) for number in range(count)], first)
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", pdf)) == pages


def test_used_up_places_are_left_free(monkeypatch):
    places = []
    monkeypatch.setattr(Paper, "paint", lambda paper, _face, left, top: places.append((paper.page, left, top)))
    sheet_pdf([item()] * 3, first=PER_SHEET - 1)
    assert places == [(1, 70.0, 259.5), (1, 140.0, 259.5), (2, 0.0, 0.5)]


def test_every_script_can_be_printed():
    sheet_pdf([item("Łódź ✂ Ж 日本"), item("🪑"), item("ok")])
