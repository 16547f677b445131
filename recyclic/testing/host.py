"""ModuleHost: some modules, booted on a bus, a clock and a database of their own."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from recyclic.config import Config
from recyclic.core.clock import Clock, SystemClock
from recyclic.core.events.bus import EventBus
from recyclic.testing.assembly import assemble, settings_of
from recyclic.testing.backends import backend
from recyclic.testing.clients import SignedIn, client, levels_of
from recyclic.testing.clock import VirtualClock
from recyclic.testing.commits import heed_commits
from recyclic.testing.databases import fresh_database
from recyclic.testing.fault import Fault, delivery_now
from recyclic.testing.journal import Journal
from recyclic.testing.journal_file import JournalFile
from recyclic.testing.lives import Lives
from recyclic.testing.logs import plain_logs
from recyclic.testing.matching import closest_name
from recyclic.testing.plan import Plan
from recyclic.testing.report import KitError, Setting, SettleError, StrictError, TraceError, failure_text, story_text
from recyclic.testing.resources import ResourceWatch
from recyclic.testing.settle import NOTICE, Settling
from recyclic.testing.story import tell
from recyclic.testing.strict import TEST, Strictness
from recyclic.testing.trace import Trace
from recyclic.testing.watch import Door, TaskWatch
from recyclic.testing.work import Work
from recyclic.testing.worker import Life
from recyclic.testing.workers.team import Team

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    import httpx
    from fastapi import FastAPI

    from recyclic.core.events.subscription import Delivery
    from recyclic.core.module_loader import ModuleRegistry
    from recyclic.testing.death import Boundary
    from recyclic.testing.workers.worker import Worker

_SECRET = "recyclic.testing signs its cookies with this key"  # noqa: S105 - it protects nothing
_BITE_SECONDS = 2.0
_NOTE_SECONDS = 1.0


class ModuleHost:
    """Some modules, booted. Never built by a test: ask for the fixture `module_host`, or use `boot_modules`.

    `http` is a client signed in as an administrator, `anonymous` one that is not signed in, `bus` emits any event that
    a booted module declares.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.clock: Clock = VirtualClock() if plan.clock == "virtual" else SystemClock()
        self.journal = Journal(self.clock.now, self._journal_file())
        self.watch = TaskWatch(self.journal)
        if isinstance(self.clock, VirtualClock):
            self.clock.on_change = self.journal.changed
            self.clock.on_wake, self.clock.on_wait = self.watch.stir, self.watch.rest
        self.door = Door(lambda: self.app, self.journal, self.watch, lambda: self.life)
        self.resources = ResourceWatch(self.watch)
        self.strict = Strictness(self.journal, self.watch, self.resources, plan.allow)
        self.active_faults: list[Fault] = []
        self.outstanding: tuple[str, ...] = ()
        self.config: Config
        self.registry: ModuleRegistry
        self.life: Life
        self._loop = asyncio.get_running_loop()
        self._settling = Settling(self)
        self._lives = Lives(self)
        self.team = Team(self, plan.workers)
        self._paused: set[str] = set()
        self._clients: list[httpx.AsyncClient] = []
        self._acts = 0
        self._acting = ""
        self.http = self._client(SignedIn(self, None))
        self.anonymous = self._client(None)

    # What a test uses.

    @property
    def app(self) -> FastAPI:
        """The host's app; another one after the worker died."""
        return self.life.app

    @property
    def workers(self) -> Sequence[Worker]:
        """The worker processes, each to be killed, paused, resumed and restarted; see `@pytest.mark.workers`."""
        return tuple(self.team.workers)

    @property
    def bus(self) -> EventBus:
        """A bus that may emit every event that a booted module declares; its source is `test`."""
        broker = self.life.broker
        return EventBus(broker, "test", "test", broker.catalogue.values())

    def as_user(self, **levels: str) -> httpx.AsyncClient:
        """Return a client that is signed in as a user with these levels: `as_user(accounting="write")`."""
        return self._client(SignedIn(self, levels_of(levels)))

    def module(self, module_id: str) -> Any:
        """Return the running instance of a module; of a stubbed one its `Spy`."""
        return self.registry.get(self._known(module_id)).instance

    @asynccontextmanager
    async def act(self, name: str | None = None, *active: Fault, expect_errors: bool = False) -> AsyncIterator[Trace]:
        """Record what happens inside the block. Leaving it waits until the system is idle.

        Faults that are given are active until then. With `expect_errors`, handlers may fail and events may become dead
        letters.

        Raises:
            SettleError: the system did not become idle in time.
            StrictError: a fault never bit.
        """
        __tracebackhide__ = True
        self._check_here()
        self._acts += 1
        title = f"act {name!r}" if name else f"act {self._acts}"
        if self._acting:
            raise KitError(f"{title} begins inside {self._acting}: acts do not nest; leave the one before it begins")
        await self._settled(f"before {title}", len(self.journal))
        trace = Trace(self.journal, title, len(self.journal), self.setting, self._events)
        self._acting, self.journal.expect_errors = title, expect_errors
        try:
            async with self._faulty(active, trace):
                yield trace
                for fault in active:
                    fault.block_left(self)
                await self._settled(title, trace.start)
        except Exception as error:
            await self._annotate(error, trace)
            raise
        finally:
            trace.close()
            self._acting, self.journal.expect_errors = "", False

    @asynccontextmanager
    async def faults(self, *active: Fault) -> AsyncIterator[None]:
        """Keep faults active inside the block. Leaving it waits until each has bitten, and fails if one does not."""
        __tracebackhide__ = True
        self._check_here()
        async with self._faulty(active, None):
            yield
            await self.bitten(active)

    async def settle(self) -> None:
        """Wait until the system is idle: everything delivered and acked, nothing under way.

        Raises:
            SettleError: it does not come to rest; the text names what is outstanding.
        """
        __tracebackhide__ = True
        self._check_here()
        await self._settled("settle()", 0)

    def pause(self, module_id: str) -> None:
        """Stop handing events to a module; they wait, and settling does not wait for them."""
        self._paused.add(self._known(module_id))
        self.life.broker.pause(module_id)
        self.team.broadcast("pause", module_id)
        self.journal.note(f"{module_id} is paused")

    def resume(self, module_id: str) -> None:
        """Hand events to a paused module again."""
        self._paused.discard(self._known(module_id))
        self.life.broker.resume(module_id)
        self.team.broadcast("resume", module_id)
        self.journal.note(f"{module_id} goes on")

    async def restart(self, *module_ids: str) -> None:
        """Stop these modules in order and start new instances, or all of them; the data stays, running handlers end."""
        self._check_here()
        names = [self._known(module_id) for module_id in module_ids] or [module.id for module in self.registry]
        broker, lifecycle = self.life.broker, self.app.state.lifecycle
        self.journal.note(f"restart of {', '.join(names)}")
        with self.watch.owned_by("the host", self.life, passing=False):
            await broker.drain()
            chosen = [module for module in self.registry if module.id in names]
            for module in reversed(chosen):
                await lifecycle.stop_module(module)
                broker.withdraw(module.id)
            for module in chosen:
                await lifecycle.start_module(module)
            await broker.start()
            if not self.team.workers:
                broker.consume()
        await self.team.restart()

    async def crash_worker(self) -> None:
        """Kill the worker where it stands: no clean-up, no ack; then start a fresh one on the same data."""
        self._check_here()
        if self.team.workers:
            raise KitError("crash_worker() is for one process; here it is module_host.workers[0].kill()")
        self.journal.note("the worker is killed")
        self.die_and_restart()
        await self._lives.next_begun()

    # What the rest of the kit uses.

    @property
    def paused(self) -> frozenset[str]:
        """The paused modules."""
        return frozenset(self._paused)

    @property
    def restarting(self) -> bool:
        """Whether a killed worker's successor is still being started."""
        return self._lives.are_between or bool(self.team.reviving)

    def work(self) -> Work:
        """Return what this process has under way."""
        return Work.of(self.clock, self.watch, self.life.broker, self.door.in_flight, asyncio.current_task())

    @property
    def has_died(self) -> bool:
        """Whether a worker of this host was killed: what it held is free when its lease is over."""
        return self._lives.were_cut or self.team.have_died

    @property
    def timeline(self) -> str:
        """Everything that happened since the boot, as text."""
        return story_text("timeline", self.journal.records, self.setting())

    def setting(self) -> Setting:
        """Return what every failure text ends with."""
        place = backend(self.plan.backend).description
        if count := len(self.team.workers):
            place += f", {count} worker process{'es' if count > 1 else ''}"
        return Setting(place, self.plan.rerun, self.outstanding)

    def emitted_by_modules(self) -> Counter[str]:
        """Return how many events of each name the modules emitted since the boot."""
        emissions = tell(self.journal.records).emissions
        return Counter(one.envelope.event for one in emissions if one.by != TEST)

    def inject(self, error: BaseException) -> BaseException:
        """Mark an error as a fault's, so that it is not unexpected."""
        self.strict.injected.append(error)
        return error

    def is_paused(self, group: str) -> bool:
        """Return whether a group belongs to a paused module."""
        return any(sub.group == group and sub.module in self._paused for sub in self.life.broker.subscriptions)

    def owner_of(self, event: str, group: str) -> str:
        """Return the module that a group belongs to, with the group where it has another name."""
        pairs = {subscription.pair: subscription.module for subscription in self.life.broker.subscriptions}
        module = pairs.get((event, group), group)
        return module if module == group else f"{module} ({group})"

    async def around(self, life: Life, delivery: Delivery, call: Callable[[], Awaitable[None]]) -> None:
        """Wrap the call of a handler: name the owner of its tasks, let the faults at it, see what it leaves behind."""
        text = f"{delivery.module} handling {delivery.envelope.event}"
        token = delivery_now.set(delivery)
        try:
            with self.watch.owned_by(text, life, passing=True) as owner:
                for fault in self.active_faults:
                    call = partial(fault.around_handler, self, delivery, call)
                await call()
        finally:
            delivery_now.reset(token)
        self.strict.left_behind += self.watch.left_by(owner)

    async def relayed(self) -> None:
        """Wait, for a while, until the outbox is empty."""
        deadline = self._loop.time() + _BITE_SECONDS
        while self._loop.time() < deadline and (self.journal.unsent or await self.life.outbox_depth()):
            await self.journal.next_change(self.journal.version, NOTICE)

    async def bitten(self, active: Sequence[Fault]) -> None:
        """Wait, for a while, until each of these faults has bitten."""
        deadline = self._loop.time() + _BITE_SECONDS
        while any(not fault.bites for fault in active) and self._loop.time() < deadline:
            await self.journal.next_change(self.journal.version, deadline - self._loop.time())

    def has_bitten(self, fault: Fault) -> None:
        """A fault that worker processes know has bitten here: it bites once, wherever."""
        self.team.tell_of_bite(fault)

    def has_crossed(self, fault: Fault, boundary: Boundary) -> None:
        """A boundary was crossed here; the recorder itself remembers."""

    def die_and_restart(self) -> None:
        """Let the worker die now, and begin to start its successor."""
        self._lives.die_and_restart()

    # The life of the host itself.

    async def open(self, stack: AsyncExitStack) -> None:
        """Boot; `stack` closes everything again."""
        plain_logs()
        self.registry = assemble(self.plan.choice, self.plan.config)
        folder = await fresh_database(self.registry)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        self.config = Config.build(
            data_dir=folder,
            secret_key=_SECRET,
            test_mode=True,
            modules={"enabled": [module.id for module in self.registry], "path": self.plan.config.modules.path},
            module_settings=settings_of(self.plan, self.registry),
        )
        if self.journal.file is not None:
            stack.callback(self.journal.file.close)
        self._lives.open_streams = await stack.enter_async_context(backend(self.plan.backend).open())
        stack.enter_context(self.watch.installed(self._loop))
        stack.enter_context(self.resources.installed(self._loop))
        stack.enter_context(heed_commits(self))
        stack.push_async_callback(self._end)
        stack.callback(self.strict.end)
        self.strict.begin()
        await self._lives.begin()
        await self._start_workers()

    async def _start_workers(self) -> None:
        if not self.team.workers:
            return
        if not self._lives.open_streams.url:
            raise KitError("worker processes cannot meet on the fake: boot with backend='server'")
        await self.team.start(self._lives.open_streams.url)

    async def check(self) -> None:
        """Fail for what nobody asked for.

        Raises:
            StrictError: with every such thing.
        """
        problems = await self.strict.problems()
        if problems:
            raise StrictError(failure_text("\n".join(problems), self.timeline))

    async def _end(self) -> None:
        await self._lives.give_up()
        for one in self._clients:
            await one.aclose()
        await self.team.stop()
        if hasattr(self, "life"):
            await self._lives.end()

    async def _settled(self, title: str, start: int) -> None:
        __tracebackhide__ = True
        reading = await self._settling.settle(self.plan.patience.left)
        self.outstanding = tuple(reading.lines(self))
        broken = "\n".join(reading.deaths) or self._lives.open_streams.difference()
        if reading.idle and not broken:
            return
        story = story_text(f"timeline of {title}", self.journal.since(start), self.setting())
        if broken:
            raise StrictError(failure_text(broken, story))
        raise SettleError(failure_text(f"{title} did not come to rest within {self.plan.patience}", story))

    @asynccontextmanager
    async def _faulty(self, active: Sequence[Fault], trace: Trace | None) -> AsyncIterator[None]:
        __tracebackhide__ = True
        for fault in active:
            if fault in self.active_faults or fault.bites:
                raise KitError(f"{fault} was used before: build a new one for each use")
        self.active_faults += active
        self.team.hand_out(self.active_faults)
        try:
            yield
        finally:
            self.active_faults = [fault for fault in self.active_faults if fault not in active]
            self.team.hand_out(self.active_faults)
        unused = [
            f"{fault} never bit: nothing that happened was its business"
            for fault in active
            if fault.must_bite and not fault.bites
        ]
        if unused:
            raise StrictError(failure_text("\n".join(unused), str(trace) if trace else self.timeline))

    async def _annotate(self, error: Exception, trace: Trace) -> None:
        """Let an exception carry the timeline, unless its text has it; complete where the system comes to rest soon."""
        if not isinstance(error, TraceError | SettleError | StrictError | KitError):
            reading = await self._settling.settle(min(_NOTE_SECONDS, self.plan.patience.left))
            trace.close()
            self.outstanding = tuple(reading.lines(self))
            error.add_note(f"\n{trace}")

    def _journal_file(self) -> JournalFile | None:
        if self.plan.journal is None:
            return None
        began = datetime.fromtimestamp(self.clock.now(), UTC).isoformat()

        def heading() -> dict[str, str]:
            setting = self.setting()
            return {"of": self.plan.test, "backend": setting.backend, "began": began, "rerun": setting.rerun}

        return JournalFile(self.plan.journal, heading)

    def _client(self, auth: SignedIn | None) -> httpx.AsyncClient:
        made = client(self, auth)
        self._clients.append(made)
        return made

    def _events(self) -> list[str]:
        return [*self.life.broker.catalogue, *(sub.event for sub in self.life.broker.subscriptions)]

    def _known(self, module_id: str) -> str:
        ids = [module.id for module in self.registry]
        if module_id not in ids:
            raise KitError(
                f"{module_id!r} is not booted here{closest_name(module_id, ids)}; booted are: {', '.join(ids)}"
            )
        return module_id

    def _check_here(self) -> None:
        if asyncio.get_running_loop() is not self._loop:
            raise KitError(
                "this host lives on another event loop: give the test and its fixtures the same loop_scope "
                "(pytest-asyncio: asyncio_default_fixture_loop_scope and asyncio_default_test_loop_scope)"
            )
