"""Faults between a host and what it keeps things in: operations of the bus, the connection, commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recyclic.errors import BusError, DatabaseError, Problem
from recyclic.testing.fault import Call, Fault, Operation, acting_module, made, tell_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from recyclic.testing.host import ModuleHost

Error = BaseException | type[BaseException] | str | None


class OperationFails(Fault):
    """An operation of the bus is refused, or its reply is lost."""

    def __init__(self, operation: str, error: Error, *, lose_reply: bool, times: int, event: str | None) -> None:
        named = f", event={event!r}" if event else ""
        super().__init__(f"on({operation!r}{', lose_reply=True' if lose_reply else ''}{named})")
        self._operation, self._error, self._times, self._event = operation, error, times, event
        self._lose_reply = lose_reply

    async def around_operation(self, host: ModuleHost, operation: Operation, call: Call) -> Any:
        """Raise instead of the operation, or once it took effect."""
        concerned = operation.means(self._operation) and operation.concerns(self._event)
        if not concerned or self.bites >= self._times:
            return await call()
        if self._lose_reply:
            tell_of(host, operation, await call())
        self._bite(host, "done, and its reply lost" if self._lose_reply else "refused")
        if isinstance(self._error, str):
            raise host.inject(_refused(self._operation, self._error, self))
        raise host.inject(made(self._error, f"{self}", BusError))


class RedisDown(Fault):
    """Every operation fails until the block is left."""

    def __init__(self) -> None:
        super().__init__("redis_down()")
        self._over = False

    def block_left(self, host: ModuleHost) -> None:
        """Let Redis come back."""
        self._over = True
        host.journal.note(f"{self}: Redis is back")

    async def around_operation(self, host: ModuleHost, operation: Operation, call: Call) -> Any:
        """Raise as where nothing answers."""
        if self._over:
            return await call()
        if not self.bites:
            self._bite(host, "Redis is away")
        raise host.inject(_refused(operation.name, "ConnectionError", self))


class Disconnect(Fault):
    """The connection breaks while an operation is on its way."""

    def __init__(self, operation: str, times: int, event: str | None) -> None:
        named = f", event={event!r}" if event else ""
        super().__init__(f"disconnect({operation!r}{named})")
        self._operation, self._times, self._event = operation, times, event

    async def around_operation(self, host: ModuleHost, operation: Operation, call: Call) -> Any:
        """Run the operation and cut the connections meanwhile."""
        concerned = operation.means(self._operation) and operation.concerns(self._event)
        if not concerned or self.bites >= self._times:
            return await call()
        self._bite(host, "the connection is cut")
        try:
            return await host.life.cut_off_during(call)
        except BusError as error:
            raise host.inject(error) from error.__cause__


class CommitFails(Fault):
    """A commit is refused and rolled back, or it is done and nobody learns of it."""

    def __init__(self, module: str | None, error: Error, *, lose_reply: bool, times: int) -> None:
        named = [repr(module)] if module else []
        super().__init__(f"commit({', '.join(named + ['lose_reply=True'] * lose_reply)})")
        self._module, self._error, self._times, self._lose_reply = module, error, times, lose_reply

    def before_commit(self, host: ModuleHost, session: Session) -> None:
        """Raise, unless the commit is to be done first."""
        del session
        if not self._lose_reply:
            self._strike(host, "refused")

    def after_commit(self, host: ModuleHost, session: Session) -> None:
        """Raise, though it was done."""
        del session
        if self._lose_reply:
            self._strike(host, "done, and its reply lost")

    def _strike(self, host: ModuleHost, what: str) -> None:
        module = acting_module(host)
        if self.bites >= self._times or self._module not in {None, module}:
            return
        self._bite(host, f"{module}'s commit is {what}")
        if self._error is None or isinstance(self._error, str):
            what = f"the commit failed: {self._error or 'the connection is gone'}"
            raise host.inject(DatabaseError(Problem(what, "database", f"injected by {self}")))
        raise host.inject(made(self._error, f"{self}"))


def _refused(operation: str, reason: str, fault: Fault) -> BusError:
    return BusError(Problem(f"cannot {operation}: {reason}", "redis", f"injected by {fault}"))
