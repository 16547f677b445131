"""EAN-13 codes for use inside one shop: built from a number, read from a scanner."""

from __future__ import annotations

from barcode.ean import EuropeanArticleNumber13

DIGITS = 13
IN_STORE_PREFIXES = range(20, 30)
"""GS1 leaves the prefixes 20 to 29 to each shop: such a code means nothing, and clashes with nothing, elsewhere."""

LAST_NUMBER = 10**10 - 1
"""A code holds two digits of prefix, ten of number and one check digit."""


class InvalidCodeError(ValueError):
    """Raised when a text is not an EAN-13: the message says what is wrong with it."""


def in_store_code(number: int, prefix: int = 20) -> str:
    """Return the code of the shop's label `number`, check digit included.

    Raises:
        ValueError: the prefix is not an in-store one, or the number needs more than ten digits.
    """
    if prefix not in IN_STORE_PREFIXES:
        raise ValueError(f"{prefix} is not an in-store prefix: use {IN_STORE_PREFIXES[0]} to {IN_STORE_PREFIXES[-1]}")
    if not 0 <= number <= LAST_NUMBER:
        raise ValueError(f"label number {number} does not fit into ten digits")
    return str(EuropeanArticleNumber13(f"{prefix}{number:010d}"))


def read_code(scanned: str) -> str:
    """Return the thirteen digits of a scanned or typed code; blanks and hyphens around and between them are dropped.

    Raises:
        InvalidCodeError: other characters, another length, or a check digit that does not fit.
    """
    code = "".join(scanned.split()).replace("-", "")
    if not (code.isascii() and code.isdigit()):
        raise InvalidCodeError(f"{scanned!r} is not a bar code: it must be {DIGITS} digits")
    if len(code) != DIGITS:
        raise InvalidCodeError(f"{code} has {len(code)} digits, an EAN-13 has {DIGITS}")
    expected = str(EuropeanArticleNumber13(code))[-1]
    if code[-1] != expected:
        raise InvalidCodeError(f"the check digit of {code} is {code[-1]}, and {expected} would fit: scan it again")
    return code


def modules(code: str) -> str:
    """Return the 95 modules of `code` from left to right, `1` for a bar and `0` for a space."""
    return str(EuropeanArticleNumber13(code).build()[0])


def bars(code: str) -> list[tuple[int, int]]:
    """Return the bars of `code` as (first module, width in modules)."""
    found: list[tuple[int, int]] = []
    pattern = modules(code)
    start = 0
    while (start := pattern.find("1", start)) >= 0:
        end = pattern.find("0", start)
        end = len(pattern) if end < 0 else end
        found.append((start, end - start))
        start = end
    return found
