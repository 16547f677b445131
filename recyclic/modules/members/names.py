"""Names as people search for them: without accents, capitals and hyphens."""

from __future__ import annotations

import unicodedata

_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ı": "i"})


def fold(text: str) -> str:
    """Return `Jean-François  LEBŒUF` as `jean francois leboeuf`: what two spellings of one name have in common."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(char for char in decomposed if not unicodedata.combining(char)).translate(_LIGATURES)
    return " ".join("".join(char if _is_kept(char) else " " for char in plain).split())


def _is_kept(char: str) -> bool:
    """Return whether `char` tells names apart; hyphens, apostrophes and what cannot be printed do not."""
    return char.isprintable() and char not in "-‐‑–'’ʼ`"


def name_key(first_name: str, last_name: str) -> str:
    """Return the key that is equal for names that are likely the same, also where first and last were swapped."""
    return " ".join(sorted(fold(f"{first_name} {last_name}").split()))
