"""boot_modules: boots some modules for a test, a simulation or a check; needs no pytest."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

from recyclic.config import Config
from recyclic.testing import flow_record
from recyclic.testing.assembly import Choice, Deps
from recyclic.testing.deadline import Patience
from recyclic.testing.host import ModuleHost
from recyclic.testing.plan import Plan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from pathlib import Path

    from recyclic.core.module_base import ModuleBase


@asynccontextmanager
async def boot_modules(  # noqa: PLR0913 - each is one thing a test may want to say
    *names: str,
    modules: Iterable[type[ModuleBase]] = (),
    deps: Deps = "stub",
    stub: Iterable[str] = (),
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    backend: str = "fake",
    clock: Literal["virtual", "real"] = "virtual",
    config: Config | None = None,
    settle_within: float = 10.0,
    allow: Mapping[str, str] | None = None,
    rerun: str = "",
    serve_ui: bool = True,
    workers: int = 0,
    journal: Path | None = None,
) -> AsyncIterator[ModuleHost]:
    """Boot modules and yield the host: those named, and the classes in `modules`; without either, all that are enabled.

    `deps`: what they depend on is stubbed, or booted too (`direct`: theirs alone; `all`: with their own). `stub`
    replaces further modules by spies. `settings` are the modules' own tables; `config.toml` gives none, so that no
    test reaches a real system. `allow` maps what is not to fail at the end to its reason. `journal` is a file that is
    written record by record, and survives a kill -9: `recyclic events journal FILE` prints it.
    With `workers`, so many processes consume, and this one does not; they need a backend that all of them reach.

    Raises:
        KitError: what was asked for does not exist.
        StrictError: at the end, something happened that nobody asked for.
    """
    choice = Choice(tuple(names), tuple(modules), deps, tuple(stub))
    plan = Plan(
        choice=choice,
        config=config or Config.load(),
        settings=settings or {},
        backend=backend,
        clock=clock,
        patience=Patience(settle_within),
        allow=allow or {},
        rerun=rerun,
        serve_ui=serve_ui,
        workers=workers,
        journal=journal,
    )
    async with booted(plan) as host:
        yield host


@asynccontextmanager
async def booted(plan: Plan, failed: Callable[[], bool] = lambda: False) -> AsyncIterator[ModuleHost]:
    """Boot a plan; strict at the end, unless the body raised or `failed` says that the test has failed."""
    host = ModuleHost(plan)
    async with AsyncExitStack() as stack:
        stack.callback(flow_record.ended, host)
        await host.open(stack)
        flow_record.booted(host)
        yield host
        if not failed():
            await host.settle()
    if not failed():
        await host.check()
