"""What a trace hands out: emissions and consumptions that matched, with the assertions that can be made on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias, overload

from recyclic.core.events.event import Envelope
from recyclic.testing.clicked import Clicked
from recyclic.testing.consumption import Consumption, attempts_text
from recyclic.testing.story import Emission, place_of
from recyclic.testing.timeline import payload, seconds

if TYPE_CHECKING:
    from recyclic.testing.journal import Record


class Headed(Protocol):
    """A request that was sent, or its response, as httpx has them."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers."""
        ...


class Court(Protocol):
    """Whoever turns a broken expectation into a failure, and keeps account of what was asserted."""

    def fail(self, problem: str) -> Exception:
        """Return the error to raise."""
        ...

    def account(self, records: Sequence[Record | None]) -> None:
        """Mark records as accounted for."""
        ...

    def chain(self, event_id: str) -> list[str]:
        """Return the ids of what caused an event, the nearest first."""
        ...

    def name_of(self, event_id: str) -> str:
        """Return how to name an id in a message."""
        ...


Cause: TypeAlias = "Emitted | Consumed | Clicked | Envelope | Headed"
"""What an event may have been caused by."""


class Emitted(Sequence[Envelope]):
    """The emissions that matched. A sequence of envelopes; `data` and `id` where there is exactly one."""

    def __init__(self, court: Court, wanted: str, emissions: Sequence[Emission]) -> None:
        self._court = court
        self._wanted = wanted
        self._emissions = tuple(emissions)
        court.account([emission.record for emission in emissions])

    def __len__(self) -> int:
        return len(self._emissions)

    @overload
    def __getitem__(self, index: int) -> Envelope: ...

    @overload
    def __getitem__(self, index: slice) -> list[Envelope]: ...

    def __getitem__(self, index: int | slice) -> Envelope | list[Envelope]:
        """Return the envelope, or envelopes, at `index`."""
        return [emission.envelope for emission in self._emissions][index]

    def __iter__(self) -> Iterator[Envelope]:
        return (emission.envelope for emission in self._emissions)

    @property
    def only(self) -> Envelope:
        """The one envelope; fails where several matched."""
        self.once()
        return self._emissions[0].envelope

    @property
    def data(self) -> Mapping[str, Any]:
        """The payload of the only one."""
        return self.only.data

    @property
    def id(self) -> str:
        """The id of the only one."""
        return self.only.id

    @property
    def position(self) -> int:
        """Where in the journal the first one stands."""
        return self._emissions[0].record.seq

    def once(self) -> Self:
        """Fail unless exactly one matched."""
        return self.times(1)

    def times(self, count: int) -> Self:
        """Fail unless exactly `count` matched."""
        __tracebackhide__ = True
        if len(self) != count:
            shown = "\n".join(f"  {payload(emission.envelope.data)}" for emission in self._emissions)
            raise self._court.fail(f"{self._wanted} was emitted {_times(len(self))}, not {_times(count)}:\n{shown}")
        return self

    def by(self, module: str) -> Self:
        """Fail unless all of them were emitted by `module`."""
        __tracebackhide__ = True
        for emission in self._emissions:
            if emission.by != module:
                raise self._court.fail(f"{self._wanted} was emitted by {emission.by}, not by {module}")
        return self

    def caused_by(self, cause: Cause) -> Self:
        """Fail unless each has `cause` in its chain of causes: an event, a request or its response, or a click."""
        __tracebackhide__ = True
        wanted, names = _causes(cause, self._court)
        for emission in self._emissions:
            chain = self._court.chain(emission.envelope.id)
            if not wanted & set(chain):
                story = " ← ".join([emission.envelope.event, *map(self._court.name_of, chain)])
                raise self._court.fail(f"{self._wanted} was not caused by {names}; its causes: {story}")
        return self


class Consumed(Sequence[Consumption]):
    """The consumptions that matched: one per event and consumer group."""

    def __init__(self, court: Court, wanted: str, consumptions: Sequence[Consumption]) -> None:
        self._court = court
        self._wanted = wanted
        self._all = tuple(consumptions)
        for consumption in consumptions:
            court.account([r for r in consumption.records if r is not None])

    def __len__(self) -> int:
        return len(self._all)

    @overload
    def __getitem__(self, index: int) -> Consumption: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Consumption, ...]: ...

    def __getitem__(self, index: int | slice) -> Consumption | tuple[Consumption, ...]:
        """Return the consumption, or consumptions, at `index`."""
        return self._all[index]

    @property
    def position(self) -> int:
        """Where in the journal the first one stands."""
        first = self._all[0]
        return first.calls[0].delivered.seq if first.calls else first.letter.seq if first.letter else 0

    def once(self) -> Self:
        """Fail unless exactly one event was consumed, by one group. Doubled deliveries of it count once."""
        return self.times(1)

    def times(self, count: int) -> Self:
        """Fail unless exactly `count` matched."""
        __tracebackhide__ = True
        if len(self) != count:
            shown = "\n".join(f"  {c.group}: {c}" for c in self._all)
            raise self._court.fail(f"{self._wanted} was consumed {_times(len(self))}, not {_times(count)}:\n{shown}")
        return self

    def delivered(self, count: int) -> Self:
        """Fail unless the handler was called `count` times for each, redeliveries included."""
        return self._each(
            lambda c: len(c.calls) == count, lambda c: f"was delivered {_times(len(c.calls))}, not {_times(count)}"
        )

    def ok(self, attempts: int | None = None) -> Self:
        """Fail unless each ended well; with `attempts`, at exactly that attempt."""
        self._each(lambda c: c.ok, lambda c: f"did not end well: {c}")
        if attempts is not None:
            self._each(
                lambda c: c.attempts == attempts,
                lambda c: f"took {attempts_text(c.attempts)}, not {attempts_text(attempts)}: {_failures(c)}",
            )
        return self

    def failed(self, error: type[BaseException] | str | None = None, *, times: int | None = None) -> Self:
        """Fail unless each raised at least once; `error` is its type or part of its text, `times` how often exactly."""
        self._each(
            lambda c: any(_is(record.error, error) for record in c.failures),
            lambda c: f"did not fail{_with(error)}: {c}{_failures(c, '; ')}",
        )
        if times is not None:
            self._each(
                lambda c: len(c.failures) == times,
                lambda c: f"failed {_times(len(c.failures))}, not {_times(times)}: {_failures(c)}",
            )
        return self

    def dead(self, reason: str | None = None, *, attempts: int | None = None) -> Self:
        """Fail unless each became a dead letter; `reason` is part of its text."""
        self._each(lambda c: c.dead is not None, lambda c: f"is no dead letter: {c}")
        if reason is not None:
            self._each(
                lambda c: reason in (c.dead.text if c.dead else ""),
                lambda c: f"is a dead letter, but not because of {reason!r}: {c.dead.text if c.dead else ''}",
            )
        if attempts is not None:
            self._each(
                lambda c: c.attempts == attempts,
                lambda c: f"died after {attempts_text(c.attempts)}, not {attempts_text(attempts)}",
            )
        return self

    def retried_after(self, *delays: float) -> Self:
        """Fail unless each was retried after exactly these delays, in seconds of the host's clock."""

        def waited(consumption: Consumption) -> list[float]:
            return [record.retry_in for record in consumption.failures if record.retry_in is not None]

        return self._each(
            lambda c: (
                len(waited(c)) == len(delays) and all(abs(a - b) < 1e-6 for a, b in zip(waited(c), delays, strict=True))
            ),
            lambda c: f"was retried after {_delays(waited(c))}, not after {_delays(delays)}",
        )

    def _each(self, holds: Callable[[Consumption], bool], problem: Callable[[Consumption], str]) -> Self:
        __tracebackhide__ = True
        wrong = [f"{self._wanted} {problem(c)}" for c in self._all if not holds(c)]
        if wrong:
            raise self._court.fail("\n".join(wrong))
        return self


def _causes(cause: Cause, court: Court) -> tuple[set[str], str]:
    if isinstance(cause, Emitted):
        ids = {envelope.id for envelope in cause}
    elif isinstance(cause, Consumed):
        ids = {c.envelope.id for c in cause if c.envelope is not None}
    elif isinstance(cause, Envelope):
        ids = {cause.id}
    elif isinstance(cause, Clicked):
        ids = cause.keys
    else:
        ids = {cause.headers.get("x-request-id", "")}
        if "" in ids:
            raise court.fail(f"{cause!r} has no x-request-id: give a request that a client of the kit has sent")
    return ids, ", ".join(court.name_of(event_id) for event_id in sorted(ids))


def _is(error: BaseException | None, wanted: type[BaseException] | str | None) -> bool:
    if wanted is None:
        return error is not None
    if isinstance(wanted, str):
        return wanted in f"{type(error).__name__}: {error}"
    return isinstance(error, wanted)


def _with(error: type[BaseException] | str | None) -> str:
    return "" if error is None else f" with {error if isinstance(error, str) else error.__name__}"


def _failures(consumption: Consumption, before: str = "") -> str:
    shown = [f"attempt {r.attempt} {type(r.error).__name__}: {r.error}{_at(r.error)}" for r in consumption.failures]
    return before + "; ".join(shown) if shown else ""


def _at(error: BaseException | None) -> str:
    place = place_of(error) if error else ""
    return f" at {place}" if place else ""


def _delays(delays: Sequence[float]) -> str:
    return ", ".join(seconds(delay) for delay in delays) or "no failure"


def _times(count: int) -> str:
    return {0: "not at all", 1: "once", 2: "twice"}.get(count, f"{count} times")
