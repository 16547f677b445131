"""The exercise: one module booted alone, stopped, booted again and used, in a process of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from fastapi import FastAPI

from recyclic.config import Config
from recyclic.core.app import create_app
from recyclic.core.events.observer import Observer
from recyclic.core.module_import import import_class
from recyclic.core.module_loader import LoadedModule, ModuleRegistry
from recyclic.core.outside_world import outside_worlds
from recyclic.errors import RecyclicError
from recyclic.testing.backends import backend
from recyclic.testing.clock import VirtualClock
from recyclic.testing.contract.feeding import Feeder
from recyclic.testing.contract.job import Job, Wire
from recyclic.testing.contract.observed import Life, Refusal, Restart, Step, Used
from recyclic.testing.contract.probe import Entering, HungError, Leftovers, Recorder, probed
from recyclic.testing.contract.survey import failure_of
from recyclic.testing.contract.tour import Tour
from recyclic.testing.contract.watch import Watch

_TURNS = 50
"""Turns of the loop between start and stop, in which what was started begins to run."""

_TICK = 0.05
_LEAP = 5.0
"""Every 50 ms of waiting for the host to stop, five seconds pass for it."""


def exercise(job: Job, wire: Wire, watch: Watch, steps: Entering) -> None:
    """Run the exercise on a loop of its own and tell what is seen."""
    steps.enter("import")
    asyncio.run(_Exercise(job, wire, watch, steps).run())


class _Exercise:
    def __init__(self, job: Job, wire: Wire, watch: Watch, steps: Entering) -> None:
        cls, _, problems = import_class(job.source)
        if cls is None or job.manifest is None:
            raise RecyclicError(problems)
        self.job = job
        self.wire = wire
        self.watch = watch
        self.steps = steps
        self.manifest = job.manifest
        self.recorder = Recorder(watch, steps)
        self.errors = _Errors()
        probe = probed(cls, self.recorder)
        self.module = LoadedModule(job.source, job.manifest, probe, probe())

    async def run(self) -> None:
        """Live once alone, then once more with the outside world's stand-in, and be used."""
        self.steps.enter("double")
        async with outside_worlds([self.job.source]) as worlds:
            settings = {**self.job.settings, **worlds.get(self.job.source.id, {})}
        life = await self._alone(settings)
        self.wire.tell(self.recorder.wiring)
        self.wire.tell(life)
        if life.host_failure or self.recorder.failed:
            return
        self.steps.enter("double")
        async with outside_worlds([self.job.source]) as worlds:
            await self._used({**self.job.settings, **worlds.get(self.job.source.id, {})})

    async def _alone(self, settings: dict[str, Any]) -> Life:
        """Boot with the network cut, stop, stop once more, and look what is left."""
        leftovers = Leftovers(self.watch)
        failure: BaseException | None = None
        with self.watch.network_cut(loopback=False), leftovers.noted(asyncio.get_running_loop()):
            try:
                async with self._booted(settings):
                    self.steps.enter("running")
                    for _ in range(_TURNS):
                        await asyncio.sleep(0)
            except BaseException as error:  # noqa: BLE001 - whatever ended the boot is what is looked for
                failure = error
            if failure is None:
                self.recorder.suffix = " again"
                try:
                    await self.module.instance.shutdown()
                except BaseException:  # noqa: BLE001 - the recorder has it
                    failure = None
                self.recorder.suffix = ""
            self.steps.enter("stopped")
            leaks = await leftovers.found()
        return Life(
            steps=tuple(self.recorder.steps),
            leaks=leaks,
            host_failure=failure_of(failure, self.watch) if failure is not None and not self.recorder.failed else None,
            refusals=tuple(_refusals(failure)),
        )

    async def _used(self, settings: dict[str, Any]) -> None:
        """Boot again, and use what the module registered."""
        first = len(self.recorder.steps)
        feeder = Feeder(self.job, self.wire, self.watch, self.steps)
        started = False
        try:
            with self.watch.network_cut(loopback=True):
                async with self._booted(settings, feeder.ear) as app:
                    started = True
                    self.wire.tell(Restart())
                    await Tour(app, self.manifest, self.wire, self.watch, self.steps, self.errors).run(
                        self.recorder.routes
                    )
                    await feeder.run(app)
                    self.wire.tell(Used())
                    self.steps.enter("shutdown")
        except (Exception, HungError) as error:  # noqa: BLE001 - told below
            if not started:
                failed: Step | None = next((s for s in self.recorder.steps[first:] if s.failure or s.hung), None)
                failure = failed.failure if failed and failed.failure else failure_of(error, self.watch)
                self.wire.tell(Restart(failure=failure, step=failed.name if failed else "start"))

    @asynccontextmanager
    async def _booted(self, settings: dict[str, Any], *observers: Observer) -> AsyncIterator[FastAPI]:
        """Run a host with this module alone, on a database and a fake Redis of its own."""
        self.steps.enter("boot", factor=2)
        module_id = self.job.source.id
        config = Config.build(
            data_dir=Path.cwd() / "data",
            secret_key="x" * 40,
            modules={"enabled": (module_id,)},
            module_settings={module_id: settings},
        )
        clock = VirtualClock()
        async with backend("fake").open() as streams:
            transport = streams()
            app = create_app(
                config,
                registry=ModuleRegistry([self.module]),
                streams=transport,
                clock=clock,
                observers=observers,
                serve_ui=False,
            )
            hurry: asyncio.Task[None] | None = None
            try:
                async with app.router.lifespan_context(app):
                    yield app
                    hurry = asyncio.create_task(_hurry(clock))
            finally:
                if hurry is not None:
                    hurry.cancel()
                await transport.close()


async def _hurry(clock: VirtualClock) -> None:
    """Let time pass while the host stops, so that nothing waits for ever for a clock that stands still."""
    while True:
        await asyncio.sleep(_TICK)
        clock.advance(_LEAP)


class _Errors:
    """Hears what the host logs of a request that failed, and keeps its exception. The log goes to standard error."""

    def __init__(self) -> None:
        self.last: BaseException | None = None
        structlog.configure(
            processors=[self._note, structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()],
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
            cache_logger_on_first_use=False,
        )

    def _note(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if event.get("exc_info"):
            self.last = sys.exc_info()[1]
        return event


def _refusals(error: BaseException | None) -> list[Refusal]:
    """Return what the host itself refused under a rule of its own, wherever in the chain of causes it stands."""
    found: list[Refusal] = []
    while error is not None:
        if isinstance(error, RecyclicError):
            found += [
                Refusal(rule=each.rule, what=each.what, remedy=each.remedy) for each in error.problems if each.rule
            ]
        error = error.__cause__
    return list(dict.fromkeys(found))
