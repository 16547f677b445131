"""Slots in a real browser: the fixture `ui_host`, and what it hands out."""

from __future__ import annotations

from recyclic.testing.slots.browser import BrowserMissingError
from recyclic.testing.slots.build import BuildError
from recyclic.testing.slots.render import SyncClient, UiHost
from recyclic.testing.slots.stage import Stage, StageError
from recyclic.testing.slots.view import Extension, Slot, View, ViewError

__all__ = [
    "BrowserMissingError",
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
