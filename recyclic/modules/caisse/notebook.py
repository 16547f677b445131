"""Notebook: reads a till's paper notebook, typed into a sheet, line by line, and says what it cannot know.

Nothing is guessed about money or its day: a line that leaves a doubt there carries `reasons` and waits for a person.
Doubts about anything else are `notices`: the line can be booked as it is.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Any

from recyclic.modules.caisse.amounts import AmountError, parse_cents, parse_grams, parse_total
from recyclic.modules.caisse.sheet import Row, Sheet, SheetError, key_of, read_sheet

COLUMNS = {
    "date": ("date", "jour"),
    "type": ("type",),
    "category": ("categorie",),
    "label": ("libelle", "designation"),
    "weight": ("poids kg", "poids"),
    "price": ("prix", "prix eur", "montant"),
    "method": ("paiement", "moyen de paiement", "reglement"),
    "notes": ("notes", "note", "remarques"),
}
TYPES = {"vente": "sale", "don": "donation"}
METHODS = {
    **dict.fromkeys(("especes", "espece", "liquide"), "cash"),
    **dict.fromkeys(("cb", "carte", "carte bancaire"), "card"),
    **dict.fromkeys(("cheque", "cheques"), "check"),
    **dict.fromkeys(("gratuit",), "free"),
}
MAX_ROWS = 2500
LONGEST = {"category": 200, "label": 200, "notes": 1000}
_DOUBTS = ("a confirmer", "a verifier", "illisible", "incertain", "non note")
_EARLIEST = date(2000, 1, 1)


@dataclass(frozen=True, kw_only=True)
class NotebookLine:
    """One line as it was read. `reasons`: why it cannot be booked without a decision; `notices`: what to know of it."""

    line: int
    raw: tuple[str, ...]
    day: date | None
    kind: str | None
    category: str
    label: str
    weight_grams: int | None
    price_cents: int | None
    method: str | None
    notes: str
    reasons: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    fingerprint: str = ""


@dataclass(frozen=True)
class Notebook:
    """The lines, the sheet's own totals, and what stood in it beside them."""

    lines: tuple[NotebookLine, ...]
    total_cents: int | None
    total_grams: int | None
    notices: tuple[dict[str, Any], ...]


def read_notebook(content: bytes, *, today: date) -> Notebook:
    """Read a notebook; a day after `today` is held as a slip of the pen.

    Raises:
        SheetError: the file is not such a sheet, or holds more than `MAX_ROWS` lines (`too_many_lines`).
    """
    sheet = read_sheet(content, COLUMNS, optional=("notes",))
    data = [row for row in sheet.rows if any(sheet.cell(row, column) for column in COLUMNS)]
    if len(data) > MAX_ROWS:
        raise SheetError("too_many_lines", f"{len(data)} lines; cut the notebook into files of at most {MAX_ROWS}")
    total_row = next((row for row in sheet.preamble if _is_total(row)), None)
    notices = [_notice("above_header", row) for row in sheet.preamble if row is not total_row and not row.blank]
    beside = {row.line for row in data}
    notices += [_notice("beside_columns", row) for row in sheet.rows if row.line not in beside and not row.blank]
    seen: Counter[str] = Counter()
    return Notebook(
        tuple(_line(sheet, row, today, seen) for row in data),
        parse_total(sheet.cell(total_row, "price"), 2) if total_row else None,
        parse_total(sheet.cell(total_row, "weight"), 3) if total_row else None,
        tuple(notices),
    )


def kind_of(kind: str | None, price_cents: int | None) -> str | None:
    """Return `gift` for a donation without money: something given away, not money received."""
    return "gift" if kind == "donation" and price_cents == 0 else kind


def doubts(kind: str | None, price_cents: int | None, method: str | None) -> list[str]:
    """Return why a line with these values cannot be booked: what is missing, what contradicts itself."""
    reasons = [] if kind else ["type_missing"]
    if price_cents is None:
        return [*reasons, "price_missing", *([] if method else ["method_missing"])]
    if price_cents > 0 and method == "free":
        reasons.append("method_contradicts_price")
    elif price_cents > 0 and method is None:
        reasons.append("method_missing")
    elif price_cents == 0 and kind == "sale" and method != "free":
        reasons.append("price_zero")
    return reasons


def day_doubts(day: date | None, today: date) -> list[str]:
    """Return why nothing can be booked on `day`."""
    if day is None:
        return ["date_missing"]
    if day > today:
        return ["date_in_future"]
    return ["date_implausible"] if day < _EARLIEST else []


def _line(sheet: Sheet, row: Row, today: date, seen: Counter[str]) -> NotebookLine:
    reasons = ["quotes_damaged"] if row.damaged else ["cells_shifted"] if sheet.shifted(row) else []
    day = _day(sheet.cell(row, "date"), today, reasons)
    kind = _one_of(TYPES, sheet.cell(row, "type"), "type_unknown", reasons)
    method = _one_of(METHODS, sheet.cell(row, "method"), "method_unknown", reasons)
    price = _amount(parse_cents, sheet.cell(row, "price"), "price", reasons)
    weight = _amount(parse_grams, sheet.cell(row, "weight"), "weight", reasons)
    # what is there and wrong has its reason already; it is not missing as well
    wrong = {reason.partition("_")[0] for reason in reasons}
    reasons += [reason for reason in doubts(kind, price, method) if reason.partition("_")[0] not in wrong]
    category, label, notes = (sheet.cell(row, column) for column in ("category", "label", "notes"))
    reasons += [f"{name}_too_long" for name, longest in LONGEST.items() if len(sheet.cell(row, name)) > longest]
    notices = [f"{name}_missing" for name, value in (("category", category), ("label", label)) if not value]
    if weight is None and "weight" not in wrong:
        notices.append("weight_missing")
    if any(doubt in key_of(notes) for doubt in _DOUBTS):
        notices.append("note_doubts")
    cells = tuple(sheet.cell(row, column) for column in COLUMNS)
    identity = repr((day.isoformat() if day else cells[0], kind, category, label, weight, price, method, notes))
    seen[identity] += 1
    return NotebookLine(
        line=row.line, raw=row.cells, day=day, kind=kind_of(kind, price), category=category, label=label,
        weight_grams=weight, price_cents=price, method=method, notes=notes,
        reasons=tuple(reasons), notices=tuple(notices),
        fingerprint=hashlib.sha256(f"{identity}#{seen[identity]}".encode()).hexdigest(),
    )  # fmt: skip


def _day(cell: str, today: date, reasons: list[str]) -> date | None:
    """Read `17/09/25`, `17/09/2025` (also with `-` or `.`) and `2025-09-17`."""
    if not cell:
        reasons.append("date_missing")
        return None
    french = re.fullmatch(r"([0-9]{1,2})\s*[/.-]\s*([0-9]{1,2})\s*[/.-]\s*([0-9]{4}|[0-9]{2})", cell)
    iso = re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", cell)
    parts = french.groups()[::-1] if french else iso.groups() if iso else ("0", "0", "0")
    year, month, in_month = (int(part) for part in parts)
    try:
        day = date(year + 2000 if french and len(french[3]) == 2 else year, month, in_month)
    except ValueError:
        reasons.append("date_unreadable")
        return None
    reasons += day_doubts(day, today)
    return day


def _one_of(known: dict[str, str], cell: str, unknown: str, reasons: list[str]) -> str | None:
    value = known.get(key_of(cell))
    if cell and value is None:
        reasons.append(unknown)
    return value


def _amount(parse: Any, cell: str, name: str, reasons: list[str]) -> int | None:
    try:
        value: int | None = parse(cell)
    except AmountError as error:
        reasons.append(f"{name}_{error.reason}")
        return None
    return value


def _is_total(row: Row) -> bool:
    return any(key_of(cell).startswith("total") or key_of(cell).startswith("totaux") for cell in row.cells)


def _notice(code: str, row: Row) -> dict[str, Any]:
    return {"code": code, "line": row.line, "text": " | ".join(cell for cell in row.cells if cell)[:500]}
