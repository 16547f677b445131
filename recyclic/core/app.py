"""create_app: puts the host together from its configuration; the lifespan opens and closes everything it uses."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import structlog
from fastapi import FastAPI
from starlette.middleware import Middleware

from recyclic.config import Config
from recyclic.core import auth_routes, events_routes, metrics, observability, ui
from recyclic.core.auth import Auth
from recyclic.core.clock import Clock, SystemClock
from recyclic.core.database import Database
from recyclic.core.events.broker import Broker, BrokerSettings
from recyclic.core.events.cancellation import cancelled
from recyclic.core.events.condition import BusWatch
from recyclic.core.events.tally import Tally
from recyclic.core.guard import Guard
from recyclic.core.http import BodyLimit, RequestContext, install_error_handlers
from recyclic.core.lifecycle import Lifecycle
from recyclic.core.migration import locations
from recyclic.core.module_loader import ModuleRegistry
from recyclic.errors import DatabaseError, Problem
from recyclic.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from recyclic.core.events.observer import Observer
    from recyclic.core.events.port import Streams
    from recyclic.core.events.subscription import HandlerMiddleware

DRAIN_SECONDS = 20
"""How long running handlers may go on when the host stops; what is left is delivered again later."""

log = structlog.get_logger(__name__)


def create_app(  # noqa: PLR0913 - what the kit, the verifier and workers put in their own of
    config: Config | None = None,
    *,
    registry: ModuleRegistry | None = None,
    streams: Streams | None = None,
    clock: Clock | None = None,
    observers: Sequence[Observer] = (),
    around: HandlerMiddleware | None = None,
    broker_settings: BrokerSettings | None = None,
    consume: bool = True,
    serve_ui: bool = True,
) -> FastAPI:
    """Return the host. Modules are found, checked and imported now; nothing is opened before the lifespan.

    With `streams` given, the host neither opens nor closes a Redis. With `consume=False` it only emits.

    Raises:
        ConfigError: the configuration cannot be used.
        ModuleError: the modules cannot be used; with everything that is wrong.
    """
    observability.default_logging()
    config = config or Config.load()
    registry = registry if registry is not None else ModuleRegistry.load(config)
    clock = clock or SystemClock()
    settings = broker_settings or BrokerSettings(**config.bus.model_dump(exclude_none=True))

    tally = Tally()

    def new_broker(opened: Streams, database: Database) -> Broker:
        told = [*observers, tally]
        return Broker(opened, clock, observers=told, around=around, database=database, settings=settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if app.middleware_stack is None:
            app.middleware_stack = app.build_middleware_stack()  # from here on no module can put anything around it
        async with AsyncExitStack() as stack:
            await _open(app, stack, streams, new_broker)
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError  # a library below has swallowed it; whoever cancelled us waits for our end
            if consume:
                app.state.broker.consume()
            yield

    app = FastAPI(
        title="Recyclic",
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,  # the route in ui.py serves it, to administrators
        docs_url=None,  # the pages would load their scripts from elsewhere
        redoc_url=None,
        middleware=_middleware(config, registry),
    )
    app.state.config, app.state.registry, app.state.clock, app.state.tally = config, registry, clock, tally
    install_error_handlers(app)
    for router in (observability.router, metrics.router, auth_routes.router, events_routes.router, ui.router):
        app.include_router(router)
    if serve_ui:
        app.router.default = ui.FrontEnd(ui.built_front_end(), test_mode=config.test_mode)
    return app


def _middleware(config: Config, registry: ModuleRegistry) -> list[Middleware]:
    rules = {module.id: (module.manifest.permissions.section, module.manifest.permissions.level) for module in registry}
    return [
        Middleware(RequestContext),
        Middleware(BodyLimit, limit=config.server.max_body_bytes),
        Middleware(Guard, rules=rules),
    ]


async def _open(
    app: FastAPI,
    stack: AsyncExitStack,
    streams: Streams | None,
    new_broker: Callable[[Streams, Database], Broker],
) -> None:
    """Open everything in order; `stack` closes it in reverse, also when a later step fails."""
    state = app.state
    config: Config = state.config
    secret = config.secret()
    database = Database(config.database_url)
    stack.push_async_callback(database.close)
    await _migrate(config, database, state.registry)
    state.topology = "given"
    if streams is None:
        streams = await _open_streams(app, stack)
    broker = new_broker(streams, database)
    stack.push_async_callback(broker.close)
    state.bus_watch = BusWatch(broker)
    stack.push_async_callback(state.bus_watch.close)
    state.metrics = metrics.Metrics(state.tally, broker, state.bus_watch)
    lifecycle = Lifecycle(app, state.registry, broker, config)
    state.streams, state.database, state.broker, state.lifecycle = streams, database, broker, lifecycle
    state.auth = Auth(database, secret, state.clock)
    state.ui = ui.UserInterface(lifecycle, test_mode=config.test_mode)
    await lifecycle.start()
    stack.push_async_callback(lifecycle.stop)
    await broker.start()
    stack.push_async_callback(broker.drain, DRAIN_SECONDS)
    if state.metrics.gathered:
        gathering = asyncio.create_task(state.metrics.run(state.clock), name="recyclic-metrics")
        stack.push_async_callback(cancelled, [gathering])


async def _open_streams(app: FastAPI, stack: AsyncExitStack) -> Streams:
    from recyclic.core.events.streams import RedisStreams  # noqa: PLC0415 - only for a host that opens its own Redis
    from recyclic.core.redis import open_redis  # noqa: PLC0415

    server = await open_redis(app.state.config)
    stack.push_async_callback(server.close)
    app.state.topology = server.topology
    log.info("the bus is open", redis=server.description)
    streams = RedisStreams(server.client, blocking=True)
    stack.push_async_callback(streams.close)
    return streams


async def _migrate(config: Config, database: Database, registry: ModuleRegistry) -> None:
    """Migrate what may be migrated without asking; refuse to start on a database that is behind."""
    histories = locations(registry)
    if database.dialect == "sqlite" or config.database.migrate:
        for name, revision in (await database.upgrade(histories)).items():
            if revision.current != revision.head:
                log.info("database migrated", history=name, before=revision.current, now=revision.head)
        return
    behind = [
        Problem(f"{name} is at revision {at.current or 'none'} and needs {at.head}", "", "run: recyclic db upgrade")
        for name, at in (await database.current(histories)).items()
        if at.current != at.head
    ]
    if behind:
        raise DatabaseError(behind)
