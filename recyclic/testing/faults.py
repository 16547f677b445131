"""Faults: failures on purpose. `host.act("…", faults.handler("paheko", "sale_closed", fail=2))`.

Each is given to `act`, or to `host.faults(...)` as a context manager. One that never bit fails the test.
`everywhere`, `doubled` and `reordered` repeat a whole test that passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from recyclic.testing.bus_faults import CommitFails, Disconnect, Error, OperationFails, RedisDown
from recyclic.testing.death import KILL_POINTS as _KILL_POINTS
from recyclic.testing.death import KillWorker
from recyclic.testing.errors import KitError
from recyclic.testing.fault import Fault, InjectedError
from recyclic.testing.handler_faults import Duplicate, Failing, Reorder
from recyclic.testing.matching import closest_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "KILL_POINTS",
    "OPERATIONS",
    "Fault",
    "InjectedError",
    "commit",
    "disconnect",
    "doubled",
    "duplicate",
    "everywhere",
    "handler",
    "kill_worker",
    "on",
    "redis_down",
    "reorder",
    "reordered",
]

OPERATIONS: Final = (
    *("append", "hand_over", "read", "ack", "schedule_retry", "take_due", "claim", "dead_letter", "beat", "leave"),
    *("mine", "news", "tails", "consumers", "ensure_groups", "snapshot"),
)
"""The operations of the bus that `on` knows. `append` is any way to append; `hand_over` the outbox's alone."""

KILL_POINTS: Final = tuple(_KILL_POINTS)
"""Where `kill_worker` can strike."""

_Test = TypeVar("_Test", bound="Callable[..., Any] | type")


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
    return Failing(module, event, fail, error, at)


def on(
    operation: str,
    *,
    error: Error = None,
    lose_reply: bool = False,
    times: int = 1,
    event: str | None = None,
) -> Fault:
    """Refuse an operation of the bus `times` times; with `lose_reply` it takes effect and its caller never learns."""
    _known("on", operation)
    return OperationFails(operation, error or "timeout", lose_reply=lose_reply, times=times, event=event)


def disconnect(during: str = "append", *, times: int = 1, event: str | None = None) -> Fault:
    """Cut all connections to Redis while an operation is on its way: it took effect, or not, and the bus must know."""
    _known("disconnect", during)
    return Disconnect(during, times, event)


def commit(module: str | None = None, *, error: Error = None, lose_reply: bool = False, times: int = 1) -> Fault:
    """Refuse a commit of a module's handler or request: it is rolled back; with `lose_reply` it is done, untold."""
    return CommitFails(module, error, lose_reply=lose_reply, times=times)


def duplicate(event: str | None = None, module: str | None = None) -> Fault:
    """Deliver everything twice, or what concerns one event or one module."""
    return Duplicate(event, module)


def reorder(*, seed: int) -> Fault:
    """Deliver in another order than emitted, one at a time; the same order for the same seed."""
    return Reorder(seed)


def redis_down() -> Fault:
    """Let Redis be away: every operation of the bus fails until the block is left."""
    return RedisDown()


def kill_worker(at: str = "handler..ack", *, event: str | None = None, module: str | None = None) -> Fault:
    """Kill the worker once, at a delivery: no clean-up, no ack. A fresh one starts and claims after the lease."""
    if at not in KILL_POINTS:
        raise KitError(f"faults.kill_worker(at={at!r}): use {' or '.join(map(repr, KILL_POINTS))}")
    return KillWorker(at, event, module)


def everywhere(test: _Test) -> _Test:
    """Run a passing test once more for each boundary that it crossed, with the worker dying there."""
    return _repeated(test, "everywhere")


def doubled(test: _Test) -> _Test:
    """Run a passing test once more with every delivery doubled: it must hold, and emit no more than before."""
    return _repeated(test, "doubled")


def reordered(seeds: Iterable[int] = range(3)) -> Callable[[_Test], _Test]:
    """Run a passing test once more for each seed, with deliveries in the order that the seed decides."""
    chosen = tuple(seeds)
    if not chosen:
        raise KitError("faults.reordered(seeds=()): without a seed nothing is tried")
    return lambda test: _repeated(test, "reordered", chosen)


def _repeated(test: _Test, kind: str, *args: Any) -> _Test:
    import pytest  # noqa: PLC0415 - simulate uses faults, and needs no pytest

    if hasattr(test, "hypothesis"):
        raise KitError(f"@faults.{kind} and @given do not combine: put a Flow there, which draws its faults")
    marked: _Test = pytest.mark.recyclic_sweep(kind, *args)(test)
    return marked


def _known(fault: str, operation: str) -> None:
    if operation not in OPERATIONS:
        raise KitError(
            f"faults.{fault}({operation!r}): no such operation{closest_name(operation, list(OPERATIONS))}; "
            f"there are {', '.join(OPERATIONS)}"
        )
