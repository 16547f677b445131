"""Slots in a real browser: the fixture `ui_host`, and what it hands out. Everything is imported at its first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from recyclic.testing.slots.browser import BrowserError
    from recyclic.testing.slots.build import BuildError
    from recyclic.testing.slots.render import UiHost
    from recyclic.testing.slots.stage import Stage, StageError
    from recyclic.testing.slots.sync_client import SyncClient
    from recyclic.testing.slots.view import Extension, Slot, View, ViewError

__all__ = [
    "BrowserError",
    "BuildError",
    "Extension",
    "Slot",
    "Stage",
    "StageError",
    "SyncClient",
    "UiHost",
    "View",
    "ViewError",
]

_PLACES: Final = {
    "BrowserError": "browser",
    "BuildError": "build",
    "Extension": "view",
    "Slot": "view",
    "Stage": "stage",
    "StageError": "stage",
    "SyncClient": "sync_client",
    "UiHost": "render",
    "View": "view",
    "ViewError": "view",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: the plugin loads this package in every pytest run."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
