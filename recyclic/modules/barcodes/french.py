"""Amounts as a French label shows them."""

from __future__ import annotations

_NO_BREAK = "\N{NO-BREAK SPACE}"


def euros(cents: int) -> str:
    """Return `1250` as `12,50 €`, with no-break spaces."""
    whole, rest = divmod(abs(cents), 100)
    sign = "-" if cents < 0 else ""
    return f"{sign}{_grouped(whole)},{rest:02d}{_NO_BREAK}€"


def kilograms(grams: int) -> str:
    """Return `1250` as `1,250 kg`, with no-break spaces."""
    whole, rest = divmod(grams, 1000)
    return f"{_grouped(whole)},{rest:03d}{_NO_BREAK}kg"


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", _NO_BREAK)
