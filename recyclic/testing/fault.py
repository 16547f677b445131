"""Fault: one failure on purpose; what it may wrap, and who is acting where it strikes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recyclic.core.events.event import Envelope
from recyclic.testing.watch import current_owner

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from recyclic.core.events.subscription import Delivery
    from recyclic.testing.host import ModuleHost

Call = Callable[[], Awaitable[Any]]

delivery_now: ContextVar[Delivery | None] = ContextVar("recyclic_kit_delivery", default=None)
"""What the code that runs here was called for; None outside of a handler."""

OUTBOX = "outbox"
"""Who hands over what was stored with a transaction."""


class InjectedError(Exception):
    """What a fault raises when it was not given another error."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the bus under way. `targets` are its events, each with whoever it concerns, one an entry."""

    name: str
    targets: tuple[tuple[str, str], ...] = ()
    entries: tuple[Mapping[str, bytes], ...] = ()
    """What is appended, if it appends."""

    @classmethod
    def of(cls, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Operation:
        """Read an operation of the port `Streams` from how it was called."""
        del kwargs
        match name, *args:
            case "append", str(event), fields:
                return cls(name, ((event, fields.get("source", b"").decode()),), (fields,))
            case "hand_over", str(event), entries, *_:
                return cls(name, ((event, OUTBOX),) * len(entries), tuple(entries))
            case "ack", _, acks:
                return cls(name, tuple(pair for pair, entry_ids in acks for _ in entry_ids))
            case _, (str(event), str(group)), *_:
                return cls(name, ((event, group),))
            case _, str(event), *_ if name == "handed_over":
                return cls(name, ((event, OUTBOX),))
        return cls(name)

    def concerns(self, event: str | None) -> bool:
        """Return whether `event` is among what it is about; None is anything."""
        return event is None or any(event == name for name, _ in self.targets)

    def means(self, name: str) -> bool:
        """Return whether it is the operation `name`; the outbox's hand-over appends as well."""
        return name == self.name or (name == "append" and self.name == "hand_over")


def tell_of(host: ModuleHost, operation: Operation, reply: Any) -> None:
    """Write into the journal what was appended and whose caller will never tell: only Redis knows of it."""
    entry_ids = [reply] if isinstance(reply, str) else getattr(reply, "ids", ())
    for fields, entry_id in zip(operation.entries, entry_ids, strict=False):
        envelope = Envelope.decode({key.encode(): value for key, value in fields.items()})
        host.journal.emitted(envelope, entry_id)


class Fault:
    """One failure on purpose. It wraps the calls of handlers, the operations of the bus and commits."""

    must_bite = True
    """Whether it fails the test that it never bit; exploring, a fault may miss."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.bites = 0

    def __str__(self) -> str:
        return f"faults.{self.text}"

    async def around_handler(self, host: ModuleHost, delivery: Delivery, call: Call) -> None:
        """Wrap the call of a handler."""
        del host, delivery
        await call()

    async def around_operation(self, host: ModuleHost, operation: Operation, call: Call) -> Any:
        """Wrap an operation of the bus."""
        del host, operation
        return await call()

    def before_commit(self, host: ModuleHost, session: Session) -> None:
        """A handler or a request is about to commit; what is raised here rolls it back."""

    def after_commit(self, host: ModuleHost, session: Session) -> None:
        """A handler or a request has committed; what is raised here is all that it learns."""

    def block_left(self, host: ModuleHost) -> None:
        """The act's own block was left; what follows is settling."""

    def _bite(self, host: ModuleHost, what: str) -> None:
        self.bites += 1
        host.journal.note(f"{self}: {what}")


def acting_module(host: ModuleHost) -> str:
    """Return the module whose handler or request runs here, or "" where the host or the test itself acts."""
    owner = current_owner()
    if owner is None or not owner.passing or owner.watch is not host.watch:
        return ""
    delivery = delivery_now.get()
    if delivery is not None:
        return delivery.module
    module_id = owner.text.partition("/api/modules/")[2].partition("/")[0]
    return module_id if any(module_id == module.id for module in host.registry) else ""


def acts_for_worker(host: ModuleHost) -> bool:
    """Return whether a handler, or the living worker's own machinery, acts here: not a request, and not the test."""
    owner = current_owner()
    if owner is None or owner.life is not host.life:
        return False
    return delivery_now.get() is not None or not owner.passing


def made(
    error: BaseException | type[BaseException] | str | None,
    text: str,
    default: type[BaseException] = InjectedError,
) -> BaseException:
    """Return the error to raise; one of the kind `default` where only its text was given, or nothing."""
    if error is None:
        return default(text)
    if isinstance(error, type):
        return error(text)
    return error if isinstance(error, BaseException) else default(f"{error} ({text})")
