"""Death: the boundaries at which a worker can die, a recorder of those that a test crosses, and dying at one."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy.util import await_only

from recyclic.testing.errors import KitError
from recyclic.testing.fault import OUTBOX, Call, Fault, Operation, acts_for_worker, delivery_now, tell_of
from recyclic.testing.handler_faults import goes_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy.orm import Session

    from recyclic.core.events.subscription import Delivery
    from recyclic.testing.host import ModuleHost

Side = Literal["before", "after"]

STEPS: Final = {
    "handler": "the handling of {event} by {who}",
    "append": "the emission of {event} by {who}",
    "commit": "the commit of {who} for {event}",
    "hand_over": "the hand-over of {event} by {who}",
    "ack": "the ack of {event} by {who}",
    "schedule_retry": "the scheduling of {who}'s retry of {event}",
    "dead_letter": "the dead letter of {event} of {who}",
}
"""What a worker does that has an effect outlasting it, and how that reads."""

KILL_POINTS: Final = {
    "before_handler": ("before", ("handler",)),
    "emit..ack": ("after", ("append", "commit")),
    "handler..ack": ("after", ("handler",)),
    "ack..reply": ("after", ("ack",)),
    "commit..send": ("before", ("hand_over",)),
    "send..mark": ("after", ("hand_over",)),
}
"""Where `kill_worker` can strike, as sides of steps."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """One moment: before or after the `nth` step of its kind for one event and one module, group or outbox."""

    side: Side
    step: str
    event: str
    who: str
    nth: int

    def __str__(self) -> str:
        often = f", number {self.nth}" if self.nth > 1 else ""
        who = f"the {self.who}" if self.who == OUTBOX else self.who
        return f"{self.side} {STEPS[self.step].format(event=self.event, who=who)}{often}"

    @property
    def key(self) -> str:
        """Return the boundary as one word, to be parsed again."""
        return f"{self.side}:{self.step}:{self.event}:{self.who}:{self.nth}"

    @classmethod
    def parse(cls, text: str) -> Boundary:
        """Return the boundary of a `key`.

        Raises:
            KitError: it is none.
        """
        match text.split(":"):
            case [("before" | "after") as side, step, event, who, nth] if step in STEPS and nth.isdigit():
                return cls(side, step, event, who, int(nth))
        raise KitError(f"{text!r} is no boundary: copy one that a failure printed, as before:ack:sale_closed:books:1")


class AtBoundaries(Fault):
    """Knows when a worker is at a boundary. Requests and the test itself are none's: they would wait for an answer."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._counts: Counter[tuple[str, str, str]] = Counter()

    async def around_handler(self, host: ModuleHost, delivery: Delivery, call: Call) -> None:
        """Be at both sides of a handler. What led to it was relayed: nothing else dies with it, in any run."""
        if not self.bites:
            await host.relayed()
        here = self._number("handler", [(delivery.envelope.event, delivery.group)])
        await self._cross("before", here, host)
        await call()
        await self._cross("after", here, host)

    async def around_operation(self, host: ModuleHost, operation: Operation, call: Call) -> Any:
        """Be at both sides of an operation that changes what others see."""
        if operation.name not in STEPS or not acts_for_worker(host):
            return await call()
        here = self._number(operation.name, operation.targets)
        await self._cross("before", here, host)
        found = await call()
        await self._cross("after", here, host, lambda: tell_of(host, operation, found))
        return found

    def before_commit(self, host: ModuleHost, session: Session) -> None:
        """Be at this side of a handler's commit."""
        delivery = delivery_now.get()
        if delivery is not None:
            here = self._number("commit", [(delivery.envelope.event, delivery.group)])
            session.info["recyclic_boundary"] = here
            await_only(self._cross("before", here, host))

    def after_commit(self, host: ModuleHost, session: Session) -> None:
        """Be at the other side of a handler's commit."""
        here = session.info.pop("recyclic_boundary", None)
        if here:
            await_only(self._cross("after", here, host))

    async def _cross(
        self,
        side: Side,
        here: Iterable[tuple[str, str, str, int]],
        host: ModuleHost,
        last_words: Callable[[], None] = lambda: None,
    ) -> None:
        for step, event, who, nth in here:
            await self.at(Boundary(side, step, event, who, nth), host, last_words)

    async def at(self, boundary: Boundary, host: ModuleHost, last_words: Callable[[], None]) -> None:
        """Do what is to be done at a boundary; whoever dies there has `last_words`."""
        raise NotImplementedError

    async def die(self, boundary: Boundary, host: ModuleHost, last_words: Callable[[], None]) -> None:
        """Let the worker die here. Never returns: the dead do nothing more."""
        if boundary.step not in {"hand_over", "commit"} and (boundary.step, boundary.side) != ("ack", "after"):
            await host.relayed()
        last_words()
        self._bite(host, f"the worker dies {boundary}")
        host.has_bitten(self)
        host.die_and_restart()
        await asyncio.get_running_loop().create_future()

    def _number(self, step: str, targets: Iterable[tuple[str, str]]) -> list[tuple[str, str, str, int]]:
        numbered = []
        for event, who in targets:
            self._counts[step, event, who] += 1
            numbered.append((step, event, who, self._counts[step, event, who]))
        return numbered


class Recorder(AtBoundaries):
    """Writes down every boundary that a worker crosses."""

    must_bite = False

    def __init__(self) -> None:
        super().__init__("everywhere")
        self.crossed: dict[Boundary, None] = {}

    async def at(self, boundary: Boundary, host: ModuleHost, last_words: Callable[[], None]) -> None:
        """Remember it."""
        del last_words
        if boundary not in self.crossed:
            self.crossed[boundary] = None
            host.has_crossed(self, boundary)


class Death(AtBoundaries):
    """The worker dies at one boundary: no clean-up, no ack; a fresh one starts, and claims when the lease is over."""

    def __init__(self, boundary: Boundary) -> None:
        super().__init__(f"everywhere({boundary.key!r})")
        self.where = boundary

    async def at(self, boundary: Boundary, host: ModuleHost, last_words: Callable[[], None]) -> None:
        """Die, if it is the one."""
        if boundary == self.where and not self.bites:
            await self.die(boundary, host, last_words)


class KillWorker(AtBoundaries):
    """The worker dies at the first crossing of a kind of boundary."""

    def __init__(self, at: str, event: str | None, module: str | None) -> None:
        named = "".join(f", {key}={value!r}" for key, value in (("event", event), ("module", module)) if value)
        super().__init__(f"kill_worker(at={at!r}{named})")
        self._side, self._steps = KILL_POINTS[at]
        self._event, self._module = event, module

    async def at(self, boundary: Boundary, host: ModuleHost, last_words: Callable[[], None]) -> None:
        """Die, if it is of the kind and of the handler that was named."""
        if self.bites or boundary.side != self._side or boundary.step not in self._steps:
            return
        delivery = delivery_now.get()
        if delivery is None and boundary.step == "append":
            return
        if not (self._is_of(boundary, host) if delivery is None else goes_to(delivery, self._event, self._module)):
            return
        await self.die(boundary, host, last_words)

    def _is_of(self, boundary: Boundary, host: ModuleHost) -> bool:
        owners = {None, boundary.who, host.owner_of(boundary.event, boundary.who).partition(" ")[0]}
        return self._event in {None, boundary.event} and self._module in owners
