"""Amounts as people write them (`1 234,50 €`, `0.13`), read exactly: never through a float."""

from __future__ import annotations

import re
from decimal import Decimal

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,12}|[0-9]{1,3}(?: [0-9]{3}){1,3})(?:[.,][0-9]{1,12})?")
_UNITS = re.compile(r"\s*(?:€|eur|euros?|kg)$", re.IGNORECASE)

_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")

MAX_PRICE_CENTS = 1_000_000
"""No single price of a reuse shop is above 10 000 €."""

MAX_WEIGHT_GRAMS = 1_000_000
"""No single line weighs more than a tonne."""


class AmountError(ValueError):
    """Raised for a cell without a usable amount: `reason` is unreadable, negative, too_precise or implausible."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def parse_cents(cell: str) -> int | None:
    """Return the price in cents, None for an empty cell.

    Raises:
        AmountError: it is no number, below 0, finer than a cent or above `MAX_PRICE_CENTS`. `1.500` is too precise as
            well: it may be 1,50 € or 1500 €.
    """
    return _parse(cell, 2, MAX_PRICE_CENTS)


def parse_grams(cell: str) -> int | None:
    """Return the weight, written in kg, in grams; None for an empty cell.

    Raises:
        AmountError: it is no number, below 0, finer than a gram or above `MAX_WEIGHT_GRAMS`.
    """
    return _parse(cell, 3, MAX_WEIGHT_GRAMS)


def parse_total(cell: str, decimals: int) -> int | None:
    """Return a sheet's own total in hundredths (`decimals=2`) or thousandths, None where it cannot be read."""
    try:
        return _parse(cell, decimals, 10**12)
    except AmountError:
        return None


def _parse(cell: str, decimals: int, largest: int) -> int | None:
    text = _UNITS.sub("", " ".join(cell.split()))
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise AmountError("unreadable")
    amount = Decimal(text.replace(" ", "").replace(",", ".")).scaleb(decimals)
    if amount < 0:
        raise AmountError("negative")
    if amount != amount.to_integral_value() or (decimals == 2 and _THOUSANDS.fullmatch(text)):
        raise AmountError("too_precise")
    if amount > largest:
        raise AmountError("implausible")
    return int(amount)
