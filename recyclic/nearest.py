"""The remedy for a mistyped word: the nearest known one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """Return "did you mean …?", or the known words where none is near."""
    words = sorted(set(known))
    near = difflib.get_close_matches(word[:200], words, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"known here: {', '.join(words)}" if words else "nothing is known here"
