"""Sheet: a CSV file as volunteers save it: any usual encoding, delimiter and line ending, a late header."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_LINE = re.compile(r"\r\n|\r|\n")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_HEADER_WITHIN = 30
_CELL_OVER_LINES = 20
_MAX_LINES = 20_000


class SheetError(ValueError):
    """Raised when a file is not the sheet it should be; `code` and `fields` are for the API, the text for people."""

    def __init__(self, code: str, message: str, fields: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.fields = tuple(fields)


@dataclass(frozen=True)
class Row:
    """One record and the line of the file where it starts. `damaged`: its quotes do not match, cells may be shifted."""

    line: int
    cells: tuple[str, ...]
    damaged: bool = False

    @property
    def blank(self) -> bool:
        """Return whether nothing stands in it."""
        return not any(self.cells)


@dataclass(frozen=True)
class Sheet:
    """The rows above the header, where each named column stands, and the rows below. `width` is the header's."""

    preamble: tuple[Row, ...]
    columns: Mapping[str, int]
    rows: tuple[Row, ...]
    width: int
    delimiter: str

    def cell(self, row: Row, column: str) -> str:
        """Return the stripped cell of `row`, empty where the row is short or the sheet has no such column."""
        index = self.columns.get(column, len(row.cells))
        return row.cells[index] if index < len(row.cells) else ""

    def shifted(self, row: Row) -> bool:
        """Return whether `row` goes on right behind the header: decimal commas without quotes make two cells of one."""
        return self.delimiter == "," and any(row.cells[self.width : self.width + 1])


def read_sheet(content: bytes, columns: Mapping[str, Sequence[str]], *, optional: Sequence[str] = ()) -> Sheet:
    """Read a CSV file whose header names `columns`: our name → the spellings that mean it, as `key_of` gives them.

    Raises:
        SheetError: it is not text, not CSV, has no such header (`not_a_csv`) or lacks columns (`columns_missing`).
    """
    text = decode(content)
    best: tuple[int, list[Row], dict[str, int], str] | None = None
    for delimiter in (",", ";", "\t"):
        rows = list(_rows(text, delimiter))
        for index, row in enumerate(rows[:_HEADER_WITHIN]):
            found = _columns(row, columns)
            if len(found) >= 2 and (best is None or len(found) > len(best[2])):
                best = index, rows, found, delimiter
    if best is None:
        raise SheetError("not_a_csv", f"no header with {_spelt(columns)} in the first {_HEADER_WITHIN} lines")
    index, rows, found, delimiter = best
    missing = [name for name in columns if name not in found and name not in optional]
    if missing:
        raise SheetError(
            "columns_missing",
            f"the header in line {rows[index].line} lacks {', '.join(missing)}; it needs {_spelt(columns)}",
            [(name, "missing") for name in missing],
        )
    width = max(at for at, cell in enumerate(rows[index].cells, start=1) if cell)
    return Sheet(tuple(rows[:index]), found, tuple(rows[index + 1 :]), width, delimiter)


def decode(content: bytes) -> str:
    """Return the text of a file in UTF-8 (with or without byte-order mark), UTF-16 with one, or Windows-1252.

    Raises:
        SheetError: it is none of them, or no text at all (`not_a_csv`).
    """
    encodings = ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" in text:
            break
        return text
    raise SheetError("not_a_csv", "the file is not text in UTF-8 or Windows-1252; save it as CSV and send that")


def key_of(text: str) -> str:
    """Return `text` without accents, capitals and punctuation: `Prix (€)` and `prix_€` are both `prix`."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return " ".join(re.findall(r"[a-z0-9]+", "".join(char for char in plain if not unicodedata.combining(char))))


def _rows(text: str, delimiter: str) -> Iterator[Row]:
    """Yield every record. One unmatched quote must not swallow the lines below it, as a plain reader would have it."""
    lines = _LINE.split(text)
    if len(lines) > _MAX_LINES:
        raise SheetError("too_many_lines", f"{len(lines)} lines; cut the sheet into files of at most {_MAX_LINES}")
    at = 0
    while at < len(lines):
        for length in range(1, min(_CELL_OVER_LINES, len(lines) - at) + 1):
            cells = _record("\n".join(lines[at : at + length]), delimiter, strict=True)
            if cells is not None:
                yield Row(at + 1, cells)
                at += length
                break
            if length == 1 and '"' not in lines[at]:
                raise SheetError("not_a_csv", f"line {at + 1} is too long for a line of a CSV file")
        else:
            yield Row(at + 1, _record(lines[at], delimiter, strict=False) or (), damaged=True)
            at += 1


def _record(text: str, delimiter: str, *, strict: bool) -> tuple[str, ...] | None:
    """Return the cells, stripped and without control characters, if `text` is exactly one record."""
    try:
        records = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict))
    except csv.Error as error:
        if not strict:
            raise SheetError("not_a_csv", f"not CSV: {error}") from error
        return None
    if not records:
        return ()
    return tuple(_CONTROL.sub(" ", cell).strip() for cell in records[0]) if len(records) == 1 else None


def _columns(row: Row, columns: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return where the named columns stand; of two with one name the left one counts."""
    found: dict[str, int] = {}
    for index, cell in enumerate(row.cells):
        for name, spellings in columns.items():
            if name not in found and key_of(cell) in spellings:
                found[name] = index
    return found


def _spelt(columns: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(spellings[0] for spellings in columns.values())
