"""A notebook is read line by line: what is certain, what is doubtful, and never a crash or a lost line."""

from __future__ import annotations

import contextlib
from collections import Counter
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recyclic.modules.caisse.amounts import AmountError, parse_cents, parse_grams
from recyclic.modules.caisse.imports import _draft, _entry
from recyclic.modules.caisse.notebook import LONGEST, MAX_ROWS, read_notebook
from recyclic.modules.caisse.sheet import SheetError
from recyclic.modules.caisse.tickets import check_amounts

pytestmark = pytest.mark.slow  # hundreds of generated notebooks

TODAY = date(2025, 10, 6)
HEADER = "Date,Type,Catégorie,Libellé,Poids_kg,Prix_€,Paiement,Notes"


def read(content):
    return read_notebook(content if isinstance(content, bytes) else content.encode(), today=TODAY)


def one(line, header=HEADER):
    [found] = read(f"{header}\n{line}\n").lines
    return found


def test_the_real_notebook_is_read_whole(notebook):
    found = read(notebook)
    assert len(found.lines) == 57
    assert sum(line.price_cents or 0 for line in found.lines) == 30370 == found.total_cents
    assert sum(line.weight_grams or 0 for line in found.lines) == 138830
    assert found.total_grams == 138820
    assert found.notices == ()
    assert (found.lines[0].line, found.lines[-1].line) == (3, 60)


def test_the_real_notebooks_doubts_are_its_missing_dates_and_prices(notebook):
    held = {line.line: line for line in read(notebook).lines if line.reasons}
    undated = [line for line in held.values() if line.reasons == ("date_missing",)]
    unpriced = [line for line in held.values() if line.reasons == ("price_missing",)]
    assert [line.line for line in undated] == [19, 20, 21, 22]
    assert sum(line.price_cents for line in undated) == 2600
    assert [line.line for line in unpriced] == [29, 30, 31, 33, 40]
    assert {line.day for line in unpriced} == {date(2025, 9, 26)}
    assert len(held) == 9


def test_the_real_notebooks_days_add_up(notebook):
    sums = Counter()
    for line in read(notebook).lines:
        if not line.reasons:
            sums[line.day.isoformat(), line.kind] += line.price_cents
    assert sums == {
        ("2025-09-17", "sale"): 1800,
        ("2025-09-18", "sale"): 1500,
        ("2025-09-19", "gift"): 0,
        ("2025-09-19", "donation"): 200,
        ("2025-09-20", "sale"): 1900,
        ("2025-09-20", "gift"): 0,
        ("2025-09-26", "sale"): 20370,
        ("2025-09-26", "donation"): 2000,
    }


def test_doubts_about_other_things_are_notices(notebook):
    lines = {line.line: line for line in read(notebook).lines}
    assert (lines[9].notices, lines[9].reasons) == (("note_doubts",), ())
    assert lines[9].notes == "poids à confirmer (cahier p.1)"
    assert (lines[60].notices, lines[60].reasons) == (("weight_missing",), ())


def test_padded_cells_and_stray_columns_do_not_matter():
    found = one(' 26/09/2025 , Vente , Livres      , Livre   ,0.09,2.00, Espèces  , cahier p.1 ,,,,,Don,"Chèque"')
    assert (found.day, found.kind, found.category, found.label) == (date(2025, 9, 26), "sale", "Livres", "Livre")
    assert (found.weight_grams, found.price_cents, found.method, found.notes) == (90, 200, "cash", "cahier p.1")
    assert found.reasons == found.notices == ()


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("17/09/25", date(2025, 9, 17)),
        ("17/09/2025", date(2025, 9, 17)),
        ("7/9/25", date(2025, 9, 7)),
        ("17-09-2025", date(2025, 9, 17)),
        ("17.09.25", date(2025, 9, 17)),
        ("2025-09-17", date(2025, 9, 17)),
        ("29/02/2024", date(2024, 2, 29)),
        ("06/10/2025", TODAY),
    ],
)
def test_dates_are_read_as_shops_write_them(cell, day):
    found = one(f"{cell},Vente,Livres,Livre,0.1,1.00,Espèces,")
    assert (found.day, found.reasons) == (day, ())


@pytest.mark.parametrize(
    ("line", "reasons"),
    [
        (",Vente,Livres,Livre,0.1,1.00,Espèces,", ["date_missing"]),
        ("31/02/2025,Vente,Livres,Livre,0.1,1.00,Espèces,", ["date_unreadable"]),
        ("2025/09/17,Vente,Livres,Livre,0.1,1.00,Espèces,", ["date_unreadable"]),
        ("09/17/2025,Vente,Livres,Livre,0.1,1.00,Espèces,", ["date_unreadable"]),
        ("17/09/125,Vente,Livres,Livre,0.1,1.00,Espèces,", ["date_unreadable"]),
        ("mercredi,Vente,Livres,Livre,0.1,1.00,Espèces,", ["date_unreadable"]),
        ("00/00/0000,Vente,Livres,Livre,0.1,1.00,Espèces,", ["date_unreadable"]),
        ("07/10/2025,Vente,Livres,Livre,0.1,1.00,Espèces,", ["date_in_future"]),
        ("17/09/1925,Vente,Livres,Livre,0.1,1.00,Espèces,", ["date_implausible"]),
        ("17/09/25,,Livres,Livre,0.1,1.00,Espèces,", ["type_missing"]),
        ("17/09/25,Recyclage,Livres,Livre,0.1,0.00,Gratuit,", ["type_unknown"]),
        ("17/09/25,Vente,Livres,Livre,0.1,,Espèces,", ["price_missing"]),
        ("17/09/25,Vente,Livres,Livre,0.1,-1.00,Espèces,", ["price_negative"]),
        ("17/09/25,Vente,Livres,Livre,0.1,un euro,Espèces,", ["price_unreadable"]),
        ("17/09/25,Vente,Livres,Livre,0.1,1.005,Espèces,", ["price_too_precise"]),
        ("17/09/25,Vente,Livres,Livre,0.1,10000.01,Espèces,", ["price_implausible"]),
        ("17/09/25,Vente,Livres,Livre,0.1,1e3,Espèces,", ["price_unreadable"]),
        ("17/09/25,Vente,Livres,Livre,0.1,NaN,Espèces,", ["price_unreadable"]),
        ("17/09/25,Vente,Livres,Livre,0.1,0.00,Espèces,", ["price_zero"]),
        ("17/09/25,Vente,Livres,Livre,-0.1,1.00,Espèces,", ["weight_negative"]),
        ("17/09/25,Vente,Livres,Livre,lourd,1.00,Espèces,", ["weight_unreadable"]),
        ("17/09/25,Vente,Livres,Livre,0.1234,1.00,Espèces,", ["weight_too_precise"]),
        ("17/09/25,Vente,Livres,Livre,1000.001,1.00,Espèces,", ["weight_implausible"]),
        ("17/09/25,Vente,Livres,Livre,0.1,1.00,,", ["method_missing"]),
        ("17/09/25,Vente,Livres,Livre,0.1,1.00,Troc,", ["method_unknown"]),
        ("17/09/25,Vente,Livres,Livre,0.1,1.00,Gratuit,", ["method_contradicts_price"]),
        ("17/09/25,Don,Livres,Livre,0.1,1.00,Gratuit,", ["method_contradicts_price"]),
        ("17/09/25,Don,Livres,Livre,0.1,,Gratuit,", ["price_missing"]),
        (",,,,,,,à voir", ["date_missing", "type_missing", "price_missing", "method_missing"]),
        ('17/09/25,Vente,Livres,"Livre,0.1,1.00,Espèces,', ["quotes_damaged", "price_missing", "method_missing"]),
        (f"17/09/25,Vente,Livres,{'L' * 201},0.1,1.00,Espèces,", ["label_too_long"]),
    ],
)
def test_a_doubt_about_money_or_day_holds_the_line(line, reasons):
    assert list(one(line).reasons) == reasons


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("17/09/25,vente,Livres,Livre,0.1,0.00,Gratuit,", "sale"),
        ("17/09/25,VENTE,,Livre,,1.00,CB,", "sale"),
        ("17/09/25,Vente,Livres,,0.1,1.00,Chèque,", "sale"),
        ("17/09/25,Don,Livres,Livre,0.1,0.00,Gratuit,", "gift"),
        ("17/09/25,Don,Livres,Livre,0.1,0,Espèces,", "gift"),
        ("17/09/25,Don,Livres,Livre,0.1,0,,", "gift"),
        ("17/09/25,don,,,,20.00,especes,", "donation"),
    ],
)
def test_what_leaves_no_doubt_is_booked(line, kind):
    found = one(line)
    assert (found.reasons, found.kind) == ((), kind)


@pytest.mark.parametrize(
    ("cell", "cents"),
    [("", None), ("5", 500), ("5.00", 500), ("5,5", 550), ("0,20 €", 20), ("1 234,50", 123450), ("1\u202f234", 123400),
     ("+3", 300), ("0.500", 50), ("10000", 1_000_000), ("12 euros", 1200)],
)  # fmt: skip
def test_prices_are_read_exactly(cell, cents):
    assert parse_cents(cell) == cents


@pytest.mark.parametrize(
    ("cell", "reason"),
    [("1.2.3", "unreadable"), ("1 23", "unreadable"), ("5 -", "unreadable"), ("٣", "unreadable"), ("1e3", "unreadable"),
     ("-0.01", "negative"), ("0.001", "too_precise"), ("1.500", "too_precise"), ("2,000 €", "too_precise"),
     ("10000.01", "implausible"), ("9" * 12, "implausible"), ("9" * 400, "unreadable")],
)  # fmt: skip
def test_what_is_no_price_says_why(cell, reason):
    with pytest.raises(AmountError) as error:
        parse_cents(cell)
    assert error.value.reason == reason


@given(st.integers(0, 1_000_000))
def test_every_weight_and_price_comes_back_as_it_was_written(amount):
    assert parse_grams(f"{amount // 1000},{amount % 1000:03}") == amount
    assert parse_cents(f"{amount // 100}.{amount % 100:02}") == amount


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_usual_encoding_and_line_ending_reads_the_same(notebook, encoding, newline):
    text = notebook.decode("utf-8-sig").replace("\n", newline)
    found = read(text.encode(encoding))
    assert found.lines == read(notebook).lines


def test_a_sheet_of_a_french_spreadsheet_reads_with_semicolons_and_decimal_commas():
    header = HEADER.replace(",", ";")
    found = one("17/09/25;Vente;Livres;Livre, tome 2;0,1;1,50;Espèces;", header)
    assert (found.label, found.weight_grams, found.price_cents, found.reasons) == ("Livre, tome 2", 100, 150, ())


def test_columns_may_stand_in_any_order_and_spelling():
    found = one("Espèces,2,Livre,Vente,17/09/25,0.5,Livres", "PAIEMENT,Prix (€),Libelle,type,DATE,Poids (kg),categorie")
    assert (found.method, found.price_cents, found.weight_grams, found.category) == ("cash", 200, 500, "Livres")


def test_of_two_columns_of_one_name_the_left_one_counts():
    found = one("17/09/25,Vente,Livres,Livre,0.1,1.00,Espèces,vu,,Don,Chèque", f"{HEADER},,Type,Paiement")
    assert (found.kind, found.method) == ("sale", "cash")


def test_an_unmatched_quote_swallows_no_line():
    lines = [
        '17/09/25,Vente,Livres,"Livre,0.1,1.00,Espèces,',
        '17/09/25,Vente,Livres,"BD, lot",0.1,2.00,Espèces,',
        "17/09/25,Vente,Livres,Livre,0.1,3.00,Espèces,",
        '17/09/25,Vente,Livres,Télé 32",0.1,4.00,Espèces,',
    ]
    found = read("\n".join([HEADER, *lines])).lines
    assert [line.line for line in found] == [2, 3, 4, 5]
    assert [line.price_cents for line in found] == [None, 200, 300, 400]
    assert found[0].reasons[0] == "quotes_damaged"
    assert found[1].label == "BD, lot"
    assert found[3].label == 'Télé 32"'


def test_a_cell_may_go_over_two_lines():
    found = read(f'{HEADER}\n17/09/25,Vente,Livres,"BD\ntome 2",0.1,2.00,Espèces,\n17/09/25,Vente,A,B,1,1,CB,').lines
    assert [(line.line, line.label) for line in found] == [(2, "BD tome 2"), (4, "B")]


def test_a_decimal_comma_in_a_sheet_with_commas_is_held_not_misread():
    assert one("17/09/25,Vente,Livres,Livre,0,13,5,00,Espèces,").reasons


def test_decimal_commas_without_quotes_are_held_and_not_read_one_cell_off():
    header = "Date,Type,Catégorie,Libellé,Paiement,Poids,Prix\n"
    found = read(f"{header}17/09/25,Vente,Livres,Livre,Espèces,0,5,3,50\n17/09/25,Vente,Livres,Livre,Espèces,1,2\n")
    assert [line.reasons for line in found.lines] == [("cells_shifted",), ()]
    semicolons = header.replace(",", ";") + "17/09/25;Vente;Livres;Livre;Espèces;0,5;3,50;une remarque\n"
    assert [(line.reasons, line.price_cents) for line in read(semicolons).lines] == [((), 350)]


def test_what_stands_above_the_header_and_beside_the_columns_is_told():
    found = read(f"Cahier de septembre\n{HEADER}\n17/09/25,Vente,A,B,1,1,CB,\n,,,,,,,,,Divers\n")
    assert found.notices == (
        {"code": "above_header", "line": 1, "text": "Cahier de septembre"},
        {"code": "beside_columns", "line": 4, "text": "Divers"},
    )
    assert len(found.lines) == 1


@pytest.mark.parametrize("total", ["", "Totaux :,", "Totaux :,abc,def"])
def test_an_unreadable_total_of_the_sheet_is_none(total):
    found = read(f",,,{total}\n{HEADER}\n")
    assert (found.total_cents, found.total_grams) == (None, None)


@pytest.mark.parametrize(
    ("content", "code", "fields"),
    [
        (b"", "not_a_csv", []),
        (b"\n\n\n", "not_a_csv", []),
        (b"%PDF-1.7\n\x00\x01\x02", "not_a_csv", []),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not_a_csv", []),
        (b"<html><body>Not found</body></html>", "not_a_csv", []),
        (b"a,b,c\n1,2,3\n", "not_a_csv", []),
        (b"\xff\xfe\x00", "not_a_csv", []),
        (b"\x81\x8d\x8f", "not_a_csv", []),
        (b"PK\x03\x04\x14\x00\x06", "not_a_csv", []),
        (b"x" * 200_000, "not_a_csv", []),
        ("Date,Type,Libellé,Poids,Paiement".encode(), "columns_missing", ["category", "price"]),
        (b"Date;Prix\n", "columns_missing", ["type", "category", "label", "weight", "method"]),
        (f"{HEADER}\n".encode() + b"1,,,,,,,\n" * (MAX_ROWS + 1), "too_many_lines", []),
        (b"\n" * 30_000, "too_many_lines", []),
    ],
)  # fmt: skip
def test_what_is_no_notebook_is_refused_and_says_why(content, code, fields):
    with pytest.raises(SheetError) as error:
        read(content)
    assert error.value.code == code
    assert [name for name, _ in error.value.fields] == fields
    assert str(error.value)


def test_a_missing_column_is_named():
    with pytest.raises(SheetError, match=r"line 2 lacks price"):
        read("x\nDate,Type,Catégorie,Libellé,Poids_kg,Paiement\n")


def test_identical_lines_are_told_apart_and_known_again():
    line = "17/09/25,Vente,Livres,Livre,0.1,1.00,Espèces,"
    twice = read(f"{HEADER}\n{line}\n{line}").lines
    again = read("\n".join([HEADER, "", line.replace("17/09/25", " 17/09/2025 ")])).lines
    assert twice[0].fingerprint != twice[1].fingerprint
    assert again[0].fingerprint == twice[0].fingerprint


CELL = st.one_of(
    st.sampled_from(["17/09/25", "Vente", "Don", "Espèces", "Gratuit", "1.00", "0", "-1", '"', '""', "a,b", "Livres"]),
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12),
    st.text(alphabet='",;\r\n\t 0123456789./', max_size=12),
)
LINES = st.lists(st.lists(CELL, max_size=10).map(",".join), max_size=12)


@given(st.binary(max_size=400))
@settings(max_examples=300)
def test_any_bytes_are_read_or_refused(content):
    with contextlib.suppress(SheetError):
        assert read(content).lines is not None


@given(LINES, st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=300)
def test_every_line_is_booked_or_held_and_what_is_booked_is_a_sound_ticket(lines, newline):
    for line in read(newline.join([HEADER, *lines])).lines:
        if line.reasons:
            continue
        assert line.day is not None
        assert line.price_cents is not None
        draft = _draft(_entry(line), line.price_cents)
        check_amounts(draft)
        assert sum(payment.amount_cents for payment in draft.payments) == line.price_cents


PLAIN = st.text(
    alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters=',"'), max_size=8
)


@given(st.lists(st.lists(PLAIN, min_size=8, max_size=8), max_size=12))
def test_no_line_that_holds_anything_is_dropped(rows):
    filled = [number for number, row in enumerate(rows, start=2) if any(cell.strip() for cell in row)]
    found = read("\n".join([HEADER, *(",".join(row) for row in rows)])).lines
    assert [line.line for line in found] == filled


@given(st.lists(st.text(alphabet='"a,\n', max_size=30), max_size=6))
def test_no_character_of_a_line_with_quotes_is_lost(lines):
    text = "\n".join([line or "z,z,z,z,z,z,z,z" for line in lines])
    found = read(f"{HEADER}\n{text}")
    told = "".join("".join(line.raw) for line in found.lines) + "".join(note["text"] for note in found.notices)
    assert told.count("a") == text.count("a")


def test_every_limit_of_a_notebook_fits_a_ticket():
    line = one(f"17/09/25,Vente,{'C' * LONGEST['category']},{'L' * LONGEST['label']},1,1,CB,{'N' * LONGEST['notes']}")
    assert line.reasons == ()
    assert _draft(_entry(line), 100).note == "N" * LONGEST["notes"]
