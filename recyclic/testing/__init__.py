"""The kit that proves modules work together. Everything public is here, and imported when it is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from recyclic.testing import faults
    from recyclic.testing.boot import boot_modules
    from recyclic.testing.clicked import Clicked
    from recyclic.testing.clock import VirtualClock
    from recyclic.testing.consumption import Consumption
    from recyclic.testing.contract.collect import contract_tests
    from recyclic.testing.doubles import Received, Spy
    from recyclic.testing.errors import KitError, SettleError, StrictError, TraceError
    from recyclic.testing.host import ModuleHost
    from recyclic.testing.matching import ANY
    from recyclic.testing.selections import Consumed, Emitted
    from recyclic.testing.trace import Trace

__all__ = [
    "ANY",
    "Clicked",
    "Consumed",
    "Consumption",
    "Emitted",
    "KitError",
    "ModuleHost",
    "Received",
    "SettleError",
    "Spy",
    "StrictError",
    "Trace",
    "TraceError",
    "VirtualClock",
    "boot_modules",
    "contract_tests",
    "faults",
]

_PLACES: Final = {
    "ANY": "matching",
    "Clicked": "clicked",
    "Consumed": "selections",
    "Consumption": "consumption",
    "Emitted": "selections",
    "KitError": "errors",
    "ModuleHost": "host",
    "Received": "doubles",
    "SettleError": "errors",
    "Spy": "doubles",
    "StrictError": "errors",
    "Trace": "trace",
    "TraceError": "errors",
    "VirtualClock": "clock",
    "boot_modules": "boot",
    "contract_tests": "contract.collect",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: importing the kit costs nothing."""
    if name == "faults":
        return importlib.import_module("recyclic.testing.faults")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"recyclic.testing.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
