"""Account: what a drill ends with: every emit and its outcome against every handling, for each group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field

from drills.tally import Tally, Thing

SHOWN = 5
"""Events that a problem names; the others it counts."""


@dataclass(frozen=True, slots=True)
class Row:
    """One group's account, in numbers of events."""

    group: str
    ok: int
    unknown: int
    handled: int
    lost: int
    unexpected: int
    duplicates: int
    in_flight: int
    erased: int
    dead: int


@dataclass(slots=True)
class Account:
    """Emits and handlings of one drill. Faults write down what they may cost; whatever else differs is a problem.

    `in_flight` counts what was delivered and not acked at each fault: once for each it may be handled again. `erased`
    is what a fault took out of Redis unhandled: it alone may be missing. `poison` must end as a dead letter, nothing
    else may.
    """

    tally: Tally
    groups: Sequence[str]
    emitted: dict[int, str] = field(default_factory=dict)
    """Number → `ok` (emit returned the id), `unknown` (it raised BusError) or `failed` (refused before it was sent)."""
    in_flight: Counter[Thing] = field(default_factory=Counter)
    erased: set[Thing] = field(default_factory=set)
    poison: set[Thing] = field(default_factory=set)
    dead: dict[Thing, str] = field(default_factory=dict)
    """Dead letters at the end, with their reason."""
    certain: int = 0
    """Emits that returned."""
    hung: list[int] = field(default_factory=list)
    """Emits that neither returned nor raised in time."""
    notes: list[str] = field(default_factory=list)
    """What else went wrong."""

    def ahead(self) -> int:
        """Return how many events were emitted, for certain, and are still to be handled by the slowest group."""
        erased = Counter(group for group, _ in self.erased)
        return self.certain - min(self.tally.handled(group) + erased[group] for group in self.groups)

    def record(self, number: int, outcome: str) -> None:
        """Write down how an emit ended."""
        self.emitted[number] = outcome
        self.certain += outcome == "ok"

    def count(self, outcome: str) -> int:
        """Return how many emits ended so."""
        return sum(1 for one in self.emitted.values() if one == outcome)

    def numbers(self, outcome: str) -> set[int]:
        """Return the emits that ended so."""
        return {number for number, one in self.emitted.items() if one == outcome}

    def lost(self, group: str) -> set[int]:
        """Return what was emitted and the group never handled, dead letters and erased entries aside."""
        gone = self._of(group, self.erased) | self._of(group, self.dead)
        return self.numbers("ok") - set(self.tally.ended[group]) - gone

    def unexpected(self, group: str) -> set[int]:
        """Return what the group handled though nobody emitted it."""
        return set(self.tally.ended[group]) - self.numbers("ok") - self.numbers("unknown")

    def duplicates(self, group: str) -> Counter[int]:
        """Return what the group handled to the end more than once, and how often beyond the first time."""
        return Counter({number: times - 1 for number, times in self.tally.ended[group].items() if times > 1})

    def rows(self) -> list[Row]:
        """Return the account of each group."""
        ok, unknown = self.count("ok"), self.count("unknown")
        return [
            Row(
                group=group,
                ok=ok,
                unknown=unknown,
                handled=self.tally.handled(group),
                lost=len(self.lost(group)),
                unexpected=len(self.unexpected(group)),
                duplicates=self.duplicates(group).total(),
                in_flight=sum(times for thing, times in self.in_flight.items() if thing[0] == group),
                erased=len(self._of(group, self.erased) - set(self.tally.ended[group])),
                dead=len(self._of(group, self.dead)),
            )
            for group in self.groups
        ]

    def table(self) -> str:
        """Return the account as a table of text."""
        heads = ("group", "ok", "unknown", "handled", "lost", "unexpected", "duplicates", "in flight", "erased", "dead")
        return table(heads, [astuple(row) for row in self.rows()])

    def problems(self) -> list[str]:
        """Return what is not as promised."""
        found = list(self.notes)
        if self.hung:
            found.append(f"emits that neither returned nor raised: {_some(self.hung)}")
        for group in self.groups:
            poison = self._of(group, self.poison)
            more = {n for n, times in self.duplicates(group).items() if times > self.in_flight[group, n]}
            for what, numbers in (
                ("lost", self.lost(group)),
                ("handled and never emitted", self.unexpected(group)),
                ("handled twice and not in flight at any fault", more),
                ("dead letters that should have been handled", self._of(group, self.dead) - poison),
                ("poison that is no dead letter", poison - self._of(group, self.dead)),
            ):
                if numbers:
                    found.append(f"{group}: {what}: {_some(numbers)}")
        return [*found, *self._disagreements(), *self._changed_ids()]

    def _disagreements(self) -> Iterable[str]:
        """An emit of unknown outcome was written or was not: all groups must have it, or none."""
        seen = [set(self.tally.ended[group]) for group in self.groups]
        torn = {
            number
            for number in self.numbers("unknown")
            if len({number in handled for handled in seen}) > 1
            and not any((group, number) in self.erased or (group, number) in self.dead for group in self.groups)
        }
        if torn:
            yield f"emits of unknown outcome that reached one group and not another: {_some(torn)}"

    def _changed_ids(self) -> Iterable[str]:
        changed = {number for number, ids in self.tally.ids.items() if len(ids) > 1}
        if changed:
            yield f"events that came again under another id: {_some(changed)}"

    def _of(self, group: str, things: Iterable[Thing]) -> set[int]:
        return {number for owner, number in things if owner == group}


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return columns under their heads, text to the left and numbers to the right."""
    cells = [list(heads), *([str(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    lines = (
        "  ".join(
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )
    return "\n".join(lines)


def _some(numbers: Iterable[int]) -> str:
    ordered = sorted(numbers)
    more = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return ", ".join(map(str, ordered[:SHOWN])) + more
