"""Lifecycle: starts the modules in order, one step after the other, and stops them in reverse."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog
from fastapi import FastAPI
from starlette.routing import BaseRoute

from recyclic.config import Config
from recyclic.core.module_loader import LoadedModule, ModuleRegistry
from recyclic.core.module_routes import check_routes, register_routes, remove_routes
from recyclic.core.module_settings import module_settings
from recyclic.errors import LifecycleError, ModuleError, Problem

if TYPE_CHECKING:
    from recyclic.core.events.broker import Broker

SHUTDOWN_SECONDS = 10
"""How long one module may take to shut down before the others go on without it."""

log = structlog.get_logger(__name__)


class Lifecycle:
    """The running modules of one host. `running` has them in start order, `extensions` what they add to slots."""

    def __init__(self, app: FastAPI, registry: ModuleRegistry, broker: Broker, config: Config) -> None:
        self.app = app
        self.registry = registry
        self.broker = broker
        self.config = config
        self.running: list[LoadedModule] = []
        self.extensions: dict[str, dict[str, list[str]]] = {}
        self._routes: dict[str, list[BaseRoute]] = {}

    async def start(self) -> None:
        """Start every module; if one fails, or the start is cancelled, stop in reverse what had started.

        Raises:
            LifecycleError: naming the module, the step and the cause.
        """
        try:
            for module in self.registry:
                await self.start_module(module)
        except BaseException as error:
            for failure in await self._stop_all():
                error.add_note(f"while rolling back: {failure}")
            raise

    async def stop(self) -> None:
        """Stop every running module in reverse; a failing one does not keep the others from stopping.

        Raises:
            LifecycleError: the first failure, with the others as notes, once all have stopped.
        """
        failures = await self._stop_all()
        if failures:
            for other in failures[1:]:
                failures[0].add_note(str(other))
            raise failures[0]

    async def start_module(self, module: LoadedModule) -> None:
        """Take one module through all steps of its start; what it had registered is taken back if one fails."""
        instance = module.renew()
        step = "settings"
        try:
            settings = module_settings(module.id, module.cls, self.config)
            step = "register_routes"
            self._routes[module.id] = register_routes(self.app, module.id, instance.register_routes)
            step = "register_signals"
            bus = self.broker.scoped(module.id, group=module.manifest.events.group, emits=module.cls.emits)
            _plain(instance.register_signals, bus)
            step = "register_ui_extensions"
            self.extensions[module.id] = _extensions(instance.register_ui_extensions)
            step = "startup"
            await _awaited(instance.startup, self.app, settings)
            check_routes(self._routes[module.id], module.id)
        except (Exception, SystemExit) as error:
            self._forget(module.id)
            raise _failure(module.id, step, error) from error
        except BaseException:
            self._forget(module.id)
            raise
        self.running.append(module)

    async def stop_module(self, module: LoadedModule) -> None:
        """Shut one module down and take back its routes and slots, whether its shutdown fails or not.

        Raises:
            LifecycleError: its shutdown raised or took too long.
        """
        self.running.remove(module)
        try:
            async with asyncio.timeout(SHUTDOWN_SECONDS):
                await _awaited(module.instance.shutdown)
        except (Exception, SystemExit) as error:
            if isinstance(error, TimeoutError) and not str(error):
                error = TimeoutError(f"it took longer than {SHUTDOWN_SECONDS} seconds")
            raise _failure(module.id, "shutdown", error) from error
        finally:
            self._forget(module.id)

    async def _stop_all(self) -> list[LifecycleError]:
        failures = []
        for module in reversed(self.running.copy()):
            try:
                await self.stop_module(module)
            except LifecycleError as error:
                failures.append(error)
        return failures

    def _forget(self, module_id: str) -> None:
        remove_routes(self.app, self._routes.pop(module_id, []))
        self.extensions.pop(module_id, None)
        if self.broker.consumer is None:
            self.broker.withdraw(module_id)


def _failure(module_id: str, step: str, error: BaseException) -> LifecycleError:
    text = " ".join(str(error).split()) or "no text"
    named = text if isinstance(error, ModuleError) else f"{type(error).__name__}: {text}"
    return LifecycleError(module_id, step, Problem(f"{module_id} failed in {step}: {named}"))


def _plain(step: Callable[..., Any], *arguments: Any) -> Any:
    result = step(*arguments)
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError(f"{step.__name__} is async: write it as plain `def`")
    return result


async def _awaited(step: Callable[..., Any], *arguments: Any) -> None:
    result = step(*arguments)
    if not inspect.isawaitable(result):
        raise TypeError(f"{step.__name__} is not async: write it as `async def`")
    await result


def _extensions(step: Callable[..., Any]) -> dict[str, list[str]]:
    found = _plain(step)
    if not isinstance(found, dict) or not all(
        isinstance(slot, str) and isinstance(names, list) and all(isinstance(name, str) for name in names)
        for slot, names in found.items()
    ):
        raise TypeError(f"it must return slot → list of component names, not {found!r:.100}")
    return found
