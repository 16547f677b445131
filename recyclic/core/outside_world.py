"""The stand-ins of outside systems that modules ship: `double.py` beside the module, with `outside_world()`."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from recyclic.core.module_import import import_class
from recyclic.core.module_source import ModuleSource

Double = Callable[[], AbstractAsyncContextManager[dict[str, Any]]]


@asynccontextmanager
async def outside_worlds(sources: Iterable[ModuleSource]) -> AsyncIterator[dict[str, dict[str, Any]]]:
    """Start the stand-in of every module that ships one, and yield id → settings that point the module at it.

    For demonstrations and simulations: a shop's own installation talks to the real systems.
    """
    async with AsyncExitStack() as stack:
        settings: dict[str, dict[str, Any]] = {}
        for source in sources:
            double = _double(source)
            if double is not None:
                settings[source.id] = await stack.enter_async_context(double())
        yield settings


def _double(source: ModuleSource) -> Double | None:
    if not (source.path / "double.py").is_file():
        return None
    import_class(source)  # makes the package importable where it lies outside of the installation
    double: Double = importlib.import_module(f"{source.package}.double").outside_world
    return double
