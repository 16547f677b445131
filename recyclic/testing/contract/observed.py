"""What a module's own process saw: plain data that crosses a pipe, so that judging it needs none of its code."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from recyclic.testing.contract.finding import Place


class Fact(BaseModel):
    """Something observed. It is read back from a process that may be broken, so its shape is checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Flaw(Fact):
    """A text and its place."""

    what: str
    place: Place = Place()


class Import(Fact):
    """One import statement, resolved to an absolute name. `optional`: it may fail, the code is prepared for it."""

    name: str
    place: Place
    optional: bool = False
    test_only: bool = False


class EmitCall(Fact):
    """`bus.emit("…")` with the event's name written out."""

    event: str
    place: Place


class Failure(Fact):
    """An exception: its type and text, where the module's own code raised it, and the module's own traceback lines."""

    error: str
    place: Place = Place()
    lines: tuple[str, ...] = ()
    missing: str = ""
    """The top-level name that could not be imported."""


class EventFact(Fact):
    """An event of a module's `emits`: its schema as it is sent, and payloads that fit it."""

    name: str
    version: int
    json_schema: dict[str, Any]
    payloads: tuple[dict[str, Any], ...]


class Survey(Fact):
    """The module read and imported, without a host."""

    unparsable: tuple[Flaw, ...] = ()
    imports: tuple[Import, ...] = ()
    emit_calls: tuple[EmitCall, ...] = ()
    failure: Failure | None = None
    class_flaw: Flaw | None = None
    method_flaws: tuple[Flaw, ...] = ()
    attribute_flaws: tuple[Flaw, ...] = ()
    construction: Failure | None = None
    import_work: tuple[Flaw, ...] = ()
    emits: tuple[EventFact, ...] = ()

    @property
    def runnable(self) -> bool:
        """Return whether there is a module class that can be built, so that booting it tells something new."""
        return not (self.failure or self.class_flaw or self.method_flaws or self.attribute_flaws or self.construction)


class Step(Fact):
    """One call of the contract, as it went."""

    name: str
    seconds: float
    failure: Failure | None = None
    hung: bool = False
    denied: tuple[Flaw, ...] = ()
    """Connections that it tried to open and that were refused."""


class Leak(Fact):
    """Something that outlived the module."""

    kind: Literal["task", "thread"]
    what: str
    place: Place = Place()


class Refusal(Fact):
    """What the host refused under a rule of its own."""

    rule: str
    what: str
    remedy: str = ""


class Restart(Fact):
    """How a second start in the same process went."""

    failure: Failure | None = None
    step: str = ""


class Used(Fact):
    """Every route was asked and every handler fed."""


class Life(Fact):
    """The module booted alone with its network cut, and stopped again."""

    steps: tuple[Step, ...]
    leaks: tuple[Leak, ...] = ()
    host_failure: Failure | None = None
    """The host failed where no step of the module did."""
    refusals: tuple[Refusal, ...] = ()

    def step(self, name: str) -> Step | None:
        """Return the step of this name, or None where it was not reached."""
        return next((each for each in self.steps if each.name == name), None)


class Need(Fact):
    """One keyword that a handler names. `json_schema` None: any value will do."""

    name: str
    required: bool
    json_schema: dict[str, Any] | None = None


class Subscription(Fact):
    """One `bus.on`."""

    event: str
    handler: str
    place: Place
    flaws: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    takes_rest: bool = False


class Route(Fact):
    """One route that the module added."""

    path: str
    methods: tuple[str, ...]
    place: Place = Place()


class Wiring(Fact):
    """What the module registered with the host."""

    routes: tuple[Route, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    extensions: dict[str, tuple[str, ...]] | None = None
    extension_flaw: str = ""


class Answer(Fact):
    """What a route answered to one request. `who` is `anonymous`, `too little` or `enough` permission."""

    method: str
    path: str
    who: Literal["anonymous", "too little", "enough"]
    status: int
    failure: Failure | None = None
    denied: bool = False


class Delivery(Fact):
    """One generated event, delivered to the module."""

    event: str
    producer: str
    payload: dict[str, Any]
    handler: str = ""
    failure: Failure | None = None
    reason: str = ""
    denied: bool = False


class Ending(Fact):
    """How a module's process ended."""

    phase: str
    how: Literal["done", "hung", "died"]
    step: str = ""
    detail: str = ""
    place: Place = Place()
    output: tuple[str, ...] = ()
    printed: tuple[str, ...] = ()
    left_processes: bool = False
