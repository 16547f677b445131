"""What can go wrong between Recyclic and Paheko."""

from __future__ import annotations

from recyclic.errors import RecyclicError


class PahekoError(RecyclicError):
    """The root of this module's errors."""


class PahekoUnavailableError(PahekoError):
    """Raised when Paheko cannot do it now and may later: down, upgrading, locked, key refused. The bus tries again.

    `outcome_unknown`: what was asked may have been done all the same.
    """

    def __init__(self, text: str, *, outcome_unknown: bool = False) -> None:
        super().__init__(text)
        self.outcome_unknown = outcome_unknown


class PahekoRefusedError(PahekoError):
    """Raised when Paheko says no to what was sent; `text` is its own (French) reason. Trying again changes nothing."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"Paheko refused ({status}): {text}")
        self.status = status
        self.text = text


class EntryError(PahekoError):
    """Raised when a session's figures make no entry; nothing was sent."""
