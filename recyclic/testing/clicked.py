"""Clicked: what was done in a browser during an act, to ask what it caused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recyclic.testing.journal import Record
    from recyclic.testing.selections import Court


class Clicked:
    """The clicks and keys that matched: `trace.emitted("sync_requested").caused_by(trace.clicked("Synchroniser"))`."""

    def __init__(self, court: Court, wanted: str, clicks: Sequence[Record]) -> None:
        self._court = court
        self._wanted = wanted
        self._clicks = tuple(clicks)

    def __len__(self) -> int:
        return len(self._clicks)

    @property
    def texts(self) -> list[str]:
        """What was done, as the timeline says it."""
        return [click.text for click in self._clicks]

    @property
    def keys(self) -> set[str]:
        """The ids by which requests name them as their cause."""
        return {click.key for click in self._clicks}

    def once(self) -> Self:
        """Fail unless exactly one matched."""
        __tracebackhide__ = True
        if len(self) != 1:
            shown = "\n".join(f"  {text}" for text in self.texts)
            raise self._court.fail(f"{self._wanted} was done {len(self)} times, not once:\n{shown}")
        return self
