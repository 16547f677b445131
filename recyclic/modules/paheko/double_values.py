"""How the stand-in for Paheko reads what a client sends: amounts, dates, types. Traps included, as observed."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

TYPES = {"ADVANCED": 0, "REVENUE": 1, "EXPENSE": 2, "TRANSFER": 3, "DEBT": 4, "CREDIT": 5}

_AMOUNT = re.compile(r"^-?\s*(\d[\d\s]*)(?:[.,](\d*))?$")
_DATES = (
    re.compile(r"^(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})$"),
    re.compile(r"^(?P<year>\d{4})/(?P<month>\d{2})/(?P<day>\d{2})$"),
    re.compile(r"^(?P<day>\d{1,2})/(?P<month>\d{1,2})/(?P<year>\d{4})$"),
)


class Refusal(Exception):  # noqa: N818 - it is an answer of the server, not an error of this program
    """Raised where Paheko answers with an HTTP error and a text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class CrashError(Exception):
    """Raised where Paheko itself breaks: 500 and an HTML page."""


def cents(value: Any) -> int:
    """Read an amount as Paheko does: euros, the sign lost, everything behind the second decimal cut off."""
    if value in (None, "", 0, "0", False):
        return 0
    match = _AMOUNT.match(str(value).strip())
    if match is None:
        raise Refusal(400, f"Le montant est invalide : {value}. Exemple de format accepté : 142,02")
    euros = int(re.sub(r"\s", "", match[1]))
    return euros * 100 + int((match[2] or "").ljust(2, "0")[:2])


def euros(amount: int) -> str:
    """Write cents the French way: -100 is `-1,00`."""
    whole, rest = divmod(abs(amount), 100)
    return f"{'-' if amount < 0 else ''}{whole:,}".replace(",", " ") + f",{rest:02d}"


def day(value: Any) -> date:
    """Read a date as PHP does: month 13 and day 45 roll over; a time of day is refused."""
    if not isinstance(value, str):
        raise Refusal(400, "Invalid date object")
    for pattern in _DATES:
        if match := pattern.match(value.strip()):
            months = int(match["year"]) * 12 + int(match["month"]) - 1
            try:
                return date(months // 12, months % 12 + 1, 1) + timedelta(days=int(match["day"]) - 1)
            except (ValueError, OverflowError):
                break
    raise Refusal(400, f"Format de date invalide (merci d'utiliser le format JJ/MM/AAAA) : {value}")


def short(value: date) -> str:
    """Write a date the French way."""
    return value.strftime("%d/%m/%Y")


def transaction_type(value: Any) -> int:
    """Read `type`: a word of `TYPES` or a number as text. A JSON integer makes Paheko break."""
    if value is None:
        return TYPES["ADVANCED"]
    if not isinstance(value, str):
        raise CrashError("ctype_alpha(): Argument of type int will be interpreted as string in the future")
    if value.upper() in TYPES:
        return TYPES[value.upper()]
    number = int(value) if value.isdigit() else 0
    if number not in TYPES.values():
        raise Refusal(400, "Invalid type")
    return number
