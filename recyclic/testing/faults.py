"""Faults: failures on purpose. `host.act("…", faults.handler("paheko", "sale_closed", fail=2))`.

Each is given to `act`, or to `host.faults(...)` as a context manager. One that never bit fails the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from recyclic.errors import BusError, Problem
from recyclic.testing.matching import closest_name
from recyclic.testing.report import KitError

if TYPE_CHECKING:
    from recyclic.core.events.subscription import Delivery
    from recyclic.testing.host import ModuleHost

Call = Callable[[], Awaitable[Any]]

OPERATIONS = ("append", "read", "ack", "schedule_retry", "take_due", "claim", "dead_letter", "beat", "snapshot")
"""The operations of the bus that `on` knows."""

KILL_POINTS = ("before_handler", "handler..ack")
"""Where `kill_worker` can strike: before the handler's first line; after its last one and before the ack."""


class InjectedError(Exception):
    """What a fault raises when it was not given another error."""


class Fault:
    """One failure on purpose. It wraps the calls of handlers and the operations of the bus."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.bites = 0

    def __str__(self) -> str:
        return f"faults.{self.text}"

    async def around_handler(self, host: ModuleHost, delivery: Delivery, call: Call) -> None:
        """Wrap the call of a handler."""
        del host, delivery
        await call()

    async def around_operation(self, host: ModuleHost, operation: str, event: str, call: Call) -> Any:
        """Wrap an operation of the bus; `event` is empty where it concerns several."""
        del host, operation, event
        return await call()

    def block_left(self, host: ModuleHost) -> None:
        """The act's own block was left; what follows is settling."""

    def _bite(self, host: ModuleHost, what: str) -> None:
        self.bites += 1
        host.journal.note(f"{self}: {what}")


class _HandlerFault(Fault):
    def __init__(
        self, module: str, event: str, fail: int, error: BaseException | type[BaseException] | None, at: str
    ) -> None:
        super().__init__(f"handler({module!r}, {event!r}, fail={fail})")
        self._module, self._event, self._fail, self._error, self._at = module, event, fail, error, at

    async def around_handler(self, host: ModuleHost, delivery: Delivery, call: Call) -> None:
        if (delivery.envelope.event, self.bites < self._fail) != (self._event, True) or self._module not in {
            delivery.module,
            delivery.group,
        }:
            await call()
            return
        if self._at == "after":
            await call()
        self._bite(host, f"failure {self.bites + 1} of {self._fail}")
        raise host.inject(_made(self._error, f"{self}, failure {self.bites} of {self._fail}"))


class _OperationFault(Fault):
    def __init__(
        self,
        operation: str,
        error: BaseException | type[BaseException] | str | None,
        *,
        lose_reply: bool,
        times: int,
        event: str | None,
    ) -> None:
        named = f", event={event!r}" if event else ""
        super().__init__(f"on({operation!r}{', lose_reply=True' if lose_reply else ''}{named})")
        self._operation, self._error, self._times, self._event = operation, error, times, event
        self._lose_reply = lose_reply

    async def around_operation(self, host: ModuleHost, operation: str, event: str, call: Call) -> Any:
        concerned = operation == self._operation and (self._event is None or self._event == event)
        if not concerned or self.bites >= self._times:
            return await call()
        if self._lose_reply:
            await call()
        self._bite(host, "done, and its reply lost" if self._lose_reply else "refused")
        if isinstance(self._error, str):
            error: BaseException = BusError(
                Problem(f"cannot {operation}: {self._error}", "redis", f"injected by {self}")
            )
        else:
            error = _made(self._error, f"{self}", BusError)
        raise host.inject(error)


class _Duplicate(Fault):
    def __init__(self, event: str | None, module: str | None) -> None:
        named = ", ".join(repr(name) for name in (event, module) if name)
        super().__init__(f"duplicate({named})")
        self._event, self._module = event, module

    async def around_handler(self, host: ModuleHost, delivery: Delivery, call: Call) -> None:
        await call()
        if self._event not in {None, delivery.envelope.event}:
            return
        if self._module not in {None, delivery.module, delivery.group}:
            return
        self._bite(host, f"{delivery.module} got {delivery.envelope.event} a second time")
        await call()


class _RedisDown(Fault):
    def __init__(self) -> None:
        super().__init__("redis_down()")
        self._over = False

    def block_left(self, host: ModuleHost) -> None:
        self._over = True
        host.journal.note(f"{self}: Redis is back")

    async def around_operation(self, host: ModuleHost, operation: str, event: str, call: Call) -> Any:
        del event
        if self._over:
            return await call()
        if not self.bites:
            self._bite(host, "Redis is away")
        raise host.inject(BusError(Problem(f"cannot {operation}: ConnectionError", "redis", f"injected by {self}")))


class _KillWorker(Fault):
    def __init__(self, at: str, event: str | None, module: str | None) -> None:
        named = "".join(f", {key}={value!r}" for key, value in (("event", event), ("module", module)) if value)
        super().__init__(f"kill_worker(at={at!r}{named})")
        self._at, self._event, self._module = at, event, module

    async def around_handler(self, host: ModuleHost, delivery: Delivery, call: Call) -> None:
        concerned = self._event in {None, delivery.envelope.event} and self._module in {
            None,
            delivery.module,
            delivery.group,
        }
        if not concerned or self.bites:
            await call()
            return
        if self._at == "handler..ack":
            await call()
        await host.relayed()  # so that it is the handler's death alone, and the same in every run
        self._bite(host, f"the worker dies at {delivery.module}'s {delivery.envelope.event}")
        host.die_and_restart()
        await asyncio.get_running_loop().create_future()  # the dead return nothing


def handler(
    module: str,
    event: str,
    *,
    fail: int = 1,
    error: BaseException | type[BaseException] | None = None,
    at: str = "before",
) -> Fault:
    """Let `module`'s handler of `event` fail `fail` times: before it runs, or `at="after"` it has run."""
    if at not in {"before", "after"}:
        raise KitError(f"faults.handler(at={at!r}): use 'before' or 'after'")
    if fail < 1:
        raise KitError(f"faults.handler(fail={fail}): a fault fails at least once")
    return _HandlerFault(module, event, fail, error, at)


def on(
    operation: str,
    *,
    error: BaseException | type[BaseException] | str | None = None,
    lose_reply: bool = False,
    times: int = 1,
    event: str | None = None,
) -> Fault:
    """Refuse an operation of the bus `times` times; with `lose_reply` it takes effect and its caller never learns."""
    if operation not in OPERATIONS:
        raise KitError(
            f"faults.on({operation!r}): no such operation{closest_name(operation, list(OPERATIONS))}; "
            f"there are {', '.join(OPERATIONS)}"
        )
    return _OperationFault(operation, error or "timeout", lose_reply=lose_reply, times=times, event=event)


def duplicate(event: str | None = None, module: str | None = None) -> Fault:
    """Deliver everything twice, or what concerns one event or one module."""
    return _Duplicate(event, module)


def redis_down() -> Fault:
    """Let Redis be away: every operation of the bus fails until the block is left."""
    return _RedisDown()


def kill_worker(at: str = "handler..ack", *, event: str | None = None, module: str | None = None) -> Fault:
    """Kill the worker once, at a delivery: no clean-up, no ack. A fresh one starts and claims after the lease."""
    if at not in KILL_POINTS:
        raise KitError(f"faults.kill_worker(at={at!r}): use {' or '.join(map(repr, KILL_POINTS))}")
    return _KillWorker(at, event, module)


def _made(
    error: BaseException | type[BaseException] | str | None,
    text: str,
    default: type[BaseException] = InjectedError,
) -> BaseException:
    if error is None:
        return default(text)
    if isinstance(error, type):
        return error(text)
    return error if isinstance(error, BaseException) else default(f"{error} ({text})")
