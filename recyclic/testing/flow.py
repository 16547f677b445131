"""Flow: an async state machine over a booted host, with restarts, pauses, deaths and faults among its steps."""

from __future__ import annotations

import asyncio
import inspect
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ClassVar, Final

from hypothesis import HealthCheck, Phase, core, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    INITIALIZE_RULE_MARKER,
    INVARIANT_MARKER,
    RULE_MARKER,
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from recyclic.testing import faults
from recyclic.testing.boot import boot_modules

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from unittest import TestCase

    from recyclic.core.module_base import ModuleBase
    from recyclic.testing.fault import Fault
    from recyclic.testing.host import ModuleHost
    from recyclic.testing.trace import Trace

FAULTS: Final[Mapping[str, Callable[[], Fault]]] = {
    "duplicate": faults.duplicate,
    "ack refused": lambda: faults.on("ack"),
    "ack's reply lost": lambda: faults.on("ack", lose_reply=True),
    "connection cut at the ack": lambda: faults.disconnect("ack"),
    "hand-over refused": lambda: faults.on("hand_over", times=2),
    "hand-over's reply lost": lambda: faults.on("hand_over", lose_reply=True),
    "other order": lambda: faults.reorder(seed=0),
    **{f"death at {at}": partial(faults.kill_worker, at) for at in faults.KILL_POINTS},
}
"""What `Flow` breaks by itself: nothing of it may cost an event, or be seen by whoever asks over HTTP."""

_SETTINGS: Final = settings(
    max_examples=20,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],  # to explain a failure takes many runs more
    print_blob=False,
)
_MARKERS: Final = (RULE_MARKER, INITIALIZE_RULE_MARKER, INVARIANT_MARKER)


class _Case:
    """`MyFlow.TestCase`: runs the machine with a seed, and tells it with a failure."""

    def __get__(self, _instance: object, flow: type[Flow]) -> type[TestCase]:
        case = flow.__dict__.get("_case")
        if case is None:
            case = flow._case = _case_of(flow)  # noqa: SLF001 - the flow's other half
        return case


class Flow(RuleBasedStateMachine):
    """A state machine whose rules and invariants may be `async def`. Subclass it, and collect its `TestCase`.

    `modules` are what is booted, `options` the further arguments of `boot_modules`; each run has a host of its own,
    `self.host`. Do what modules do inside `self.act()`. Restarts, pauses, deaths and the faults of `breaks` come
    between the rules by themselves, but for those that a subclass sets to None. `at_rest` is where to say what must
    hold in the end, whatever came before.
    """

    modules: ClassVar[tuple[str | type[ModuleBase], ...]] = ()
    options: ClassVar[Mapping[str, Any]] = {}
    breaks: ClassVar[tuple[str, ...]] = tuple(FAULTS)
    """Which of `FAULTS` are drawn; none to leave everything whole."""

    _case: ClassVar[type[TestCase]]
    TestCase = _Case()  # type: ignore[assignment]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let async rules and invariants run on the machine's own loop."""
        super().__init_subclass__(**kwargs)
        _make_sync(cls)

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)  # nobody else's current loop
        self._stack = AsyncExitStack()
        self._failure: BaseException | None = None
        self._pending: list[Fault] = []
        self.paused: set[str] = set()
        names = [each for each in self.modules if isinstance(each, str)]
        classes = [each for each in self.modules if not isinstance(each, str)]
        booting = boot_modules(*names, modules=classes, **self.options)
        self.host: ModuleHost = self.run(self._stack.enter_async_context(booting))

    def run(self, doing: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the machine's loop; its tasks stand still in between."""
        try:
            return self._runner.run(doing)
        except BaseException as error:
            self._failure = self._failure or error
            raise

    @asynccontextmanager
    async def act(self, name: str | None = None, *active: Fault, expect_errors: bool = False) -> AsyncIterator[Trace]:
        """Act on the host, as `module_host.act` does, with the faults that were drawn since the last act."""
        pending, self._pending = self._pending, []
        async with self.host.act(name, *pending, *active, expect_errors=expect_errors) as trace:
            yield trace

    async def at_rest(self) -> None:
        """Say what must hold when nothing is paused any more and everything has come to rest."""

    @rule(data=st.data())
    def restart(self, data: st.DataObject) -> None:
        """Restart one module."""
        self.run(self.host.restart(data.draw(st.sampled_from(self._ids), label="module")))

    @rule(data=st.data())
    def pause(self, data: st.DataObject) -> None:
        """Pause one module: its events wait."""
        module = data.draw(st.sampled_from(self._ids), label="module")
        self.paused.add(module)
        self.host.pause(module)

    @precondition(lambda self: self.paused)
    @rule()
    def resume(self) -> None:
        """Let all paused modules go on."""
        self.run(self._resume())

    @rule()
    def crash(self) -> None:
        """Kill the worker, and start another."""
        self.run(self.host.crash_worker())

    @precondition(lambda self: self.breaks)
    @rule(data=st.data())
    def break_something(self, data: st.DataObject) -> None:
        """Have a fault strike in the next act, if what happens there is its business."""
        fault = FAULTS[data.draw(st.sampled_from(self.breaks), label="fault")]()
        fault.must_bite = False
        self._pending.append(fault)

    def teardown(self) -> None:
        """Come to rest, say what must hold, and end the host; after a failure only end it."""
        try:
            if self._failure is None:
                self.run(self._end())
            else:
                error = self._failure
                with suppress(type(error)):
                    self._runner.run(self._stack.__aexit__(type(error), error, error.__traceback__))
        finally:
            self._runner.close()

    async def _end(self) -> None:
        try:
            await self._resume()
            await self.at_rest()
        except BaseException as error:
            await self._stack.__aexit__(type(error), error, error.__traceback__)
            raise
        await self._stack.aclose()

    async def _resume(self) -> None:
        for module in sorted(self.paused):
            self.host.resume(module)
        self.paused.clear()
        await self.host.settle()

    @property
    def _ids(self) -> list[str]:
        return [module.id for module in self.host.registry]


def _make_sync(cls: type[Flow]) -> None:
    for value in list(vars(cls).values()):
        for marker in _MARKERS:
            marked = getattr(value, marker, None)
            if marked is not None and inspect.iscoroutinefunction(marked.function):
                setattr(value, marker, replace(marked, function=_on_own_loop(marked.function)))


def _on_own_loop(function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    @wraps(function)
    def step(self: Flow, *args: Any, **kwargs: Any) -> Any:
        return self.run(function(self, *args, **kwargs))

    return step


def _case_of(flow: type[Flow]) -> type[TestCase]:
    plain: Any = flow._to_test_case()  # noqa: SLF001 - Hypothesis has no public way to a test case of one's own

    class FlowTestCase(plain):  # type: ignore[misc]
        settings = _SETTINGS

        def runTest(self) -> None:  # noqa: N802 - unittest's name
            number = core.global_force_seed if core.global_force_seed is not None else secrets.randbits(32)
            try:
                run_state_machine_as_test(seed(number)(flow), settings=self.settings)
            except Exception as error:
                test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]
                error.add_note(f"seed of the flow: {number}\nrerun: pytest {test} --hypothesis-seed={number}")
                raise

    FlowTestCase.__name__, FlowTestCase.__qualname__ = f"{flow.__name__}Case", f"{flow.__qualname__}.TestCase"
    return FlowTestCase
