"""Probe: goes between the host and a module, and notes what each call of the contract did."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from pydantic import TypeAdapter

from recyclic.core.events.bus import EventBus
from recyclic.core.events.contract import HandlerContract
from recyclic.core.module_base import ModuleBase
from recyclic.errors import EventError, RecyclicError
from recyclic.testing.contract.finding import Place
from recyclic.testing.contract.observed import Leak, Need, Route, Step, Subscription, Wiring
from recyclic.testing.contract.survey import failure_of
from recyclic.testing.contract.watch import Watch

_POOLS = ("asyncio_", "AnyIO worker")
_JOIN = 0.3


class Entering(Protocol):
    """Whoever wants to know which step begins."""

    limit: float

    def enter(self, step: str, *, factor: float = 1.0) -> None:
        """Begin `step`."""
        ...


class HungError(Exception):
    """Raised where a step took longer than its limit and was cancelled."""


class Recorder:
    """What one life of a module showed."""

    def __init__(self, watch: Watch, steps: Entering) -> None:
        self.watch = watch
        self.entering = steps
        self.steps: list[Step] = []
        self.routes: list[Route] = []
        self.subscriptions: list[Subscription] = []
        self.extensions: dict[str, tuple[str, ...]] | None = None
        self.extension_flaw = ""
        self.suffix = ""

    @property
    def wiring(self) -> Wiring:
        """Return what the module registered."""
        return Wiring(
            routes=tuple(self.routes),
            subscriptions=tuple(self.subscriptions),
            extensions=self.extensions,
            extension_flaw=self.extension_flaw,
        )

    @property
    def failed(self) -> Step | None:
        """Return the first step that failed or hung."""
        return next((step for step in self.steps if step.failure or step.hung), None)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time and describe what runs in the block; its exception goes on."""
        name += self.suffix
        self.entering.enter(name)
        began, denied = time.monotonic(), len(self.watch.denied)
        error: BaseException | None = None
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            hung = isinstance(error, HungError | asyncio.CancelledError)
            cause = error.__cause__ if isinstance(error, HungError) and error.__cause__ else error
            self.steps.append(
                Step(
                    name=name,
                    seconds=time.monotonic() - began,
                    failure=failure_of(cause, self.watch) if cause is not None else None,
                    hung=hung,
                    denied=tuple(self.watch.denied[denied:]),
                )
            )

    @asynccontextmanager
    async def async_step(self, name: str) -> AsyncIterator[None]:
        """Do the same, and cancel what takes longer than the limit."""
        with self.step(name):
            try:
                async with asyncio.timeout(self.entering.limit) as limit:
                    yield
            except TimeoutError as error:
                if limit.expired():
                    raise HungError(f"{name} took longer than {self.entering.limit:g} s") from error.__cause__
                raise


def probed(cls: type[ModuleBase], recorder: Recorder) -> type[ModuleBase]:
    """Return a class that behaves as `cls` and tells `recorder` how each call went."""

    class Probed(cls):  # type: ignore[valid-type, misc]
        def register_routes(self, app: FastAPI) -> None:
            before = {id(route) for route in app.router.routes}
            with recorder.step("register_routes"):
                super().register_routes(app)
            recorder.routes = [
                _route(context)
                for context in iter_route_contexts([route for route in app.router.routes if id(route) not in before])
            ]

        def register_signals(self, bus: EventBus) -> None:
            recorder.subscriptions.clear()
            bus.on = _noting(bus.on, recorder)  # type: ignore[method-assign]
            with recorder.step("register_signals"):
                super().register_signals(bus)

        def register_ui_extensions(self) -> dict[str, list[str]]:
            with recorder.step("register_ui_extensions"):
                found: Any = super().register_ui_extensions()
            if isinstance(found, dict) and all(
                isinstance(slot, str) and isinstance(names, list) and all(isinstance(name, str) for name in names)
                for slot, names in found.items()
            ):
                recorder.extensions = {slot: tuple(names) for slot, names in found.items()}
                return found
            recorder.extension_flaw = f"it returns {found!r:.100} instead of slot → list of component names"
            return {}

        async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
            async with recorder.async_step("startup"):
                await super().startup(app, config)

        async def shutdown(self) -> None:
            async with recorder.async_step("shutdown"):
                await super().shutdown()

    Probed.__name__, Probed.__qualname__, Probed.__module__ = cls.__name__, cls.__qualname__, cls.__module__
    return Probed


def _route(context: Any) -> Route:
    endpoint = getattr(context.original_route, "endpoint", None)
    methods = getattr(context, "methods", None) or getattr(context.original_route, "methods", None) or ()
    return Route(path=context.path or "", methods=tuple(sorted(methods)), place=place_of_code(endpoint))


def _noting(on: Callable[..., None], recorder: Recorder) -> Callable[..., None]:
    """Wrap `bus.on`: what the bus would refuse is noted, and the rest of the module is looked at all the same."""

    def noting_on(event: Any, handler: Any = None, **options: Any) -> None:
        name = event if isinstance(event, str) else str(getattr(event, "name", event))
        flaws: list[str] = []
        needs: list[Need] = []
        rest = False
        try:
            contract = HandlerContract.of(handler, "")
            needs = [_need(each.name, each.annotation, required=each.required) for each in contract.needs.values()]
            rest = contract.rest
        except RecyclicError as error:
            flaws += [problem.what for problem in error.problems]
        except (TypeError, ValueError) as error:
            flaws.append(f"{handler!r:.80} is no handler: {error}")
        if not flaws:
            try:
                on(event, handler, **options)
            except EventError as error:
                flaws += [problem.what for problem in error.problems]
        recorder.subscriptions.append(
            Subscription(
                event=name,
                handler=getattr(handler, "__name__", type(handler).__name__),
                place=place_of_code(handler),
                flaws=tuple(flaws),
                needs=tuple(needs),
                takes_rest=rest,
            )
        )

    return noting_on


def _need(name: str, annotation: Any, *, required: bool) -> Need:
    try:
        schema = TypeAdapter(annotation).json_schema(mode="validation")
    except Exception:  # noqa: BLE001 - a type without a schema takes what it takes
        schema = None
    return Need(name=name, required=required, json_schema=schema)


def place_of_code(thing: Any) -> Place:
    """Return where a function or method is defined."""
    code = getattr(inspect.unwrap(thing), "__code__", None) if callable(thing) else None
    return Place(file=code.co_filename, line=code.co_firstlineno) if code is not None else Place()


class Leftovers:
    """Knows which tasks and threads the module's own code started, so that those which outlive it can be named."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._tasks: WeakKeyDictionary[asyncio.Task[Any], Place] = WeakKeyDictionary()
        self._threads: WeakKeyDictionary[threading.Thread, Place] = WeakKeyDictionary()

    @contextmanager
    def noted(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Note who starts what inside the block."""
        start = threading.Thread.start

        def noting_start(thread: threading.Thread) -> None:
            self._threads[thread] = self._watch.own_place(sys._getframe(1))  # noqa: SLF001 - the caller's line
            start(thread)

        def noting_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
            task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
            self._tasks[task] = self._watch.own_place(sys._getframe(1))  # noqa: SLF001 - the caller's line
            return task

        threading.Thread.start = noting_start  # type: ignore[method-assign, assignment]
        loop.set_task_factory(noting_task)
        try:
            yield
        finally:
            loop.set_task_factory(None)
            threading.Thread.start = start  # type: ignore[method-assign]

    async def found(self) -> tuple[Leak, ...]:
        """Return what still runs, after a moment in which what was told to end can end."""
        for _ in range(20):
            await asyncio.sleep(0)
        leaks = [
            Leak(kind="task", what=getattr(task.get_coro(), "__qualname__", task.get_name()), place=place)
            for task, place in self._tasks.items()
            if place.file and not task.done() and task.get_loop() is asyncio.get_running_loop()
        ]
        for thread, place in list(self._threads.items()):
            if place.file and thread.is_alive() and not thread.name.startswith(_POOLS):
                await asyncio.to_thread(thread.join, _JOIN)
                if thread.is_alive():
                    leaks.append(Leak(kind="thread", what=thread.name, place=place))
        return tuple(leaks)
