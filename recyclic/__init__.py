"""Recyclic: the modular back office of reuse shops. The host's public names; the kit is `recyclic.testing`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from recyclic.version import __version__ as __version__

if TYPE_CHECKING:
    from recyclic.config import Config
    from recyclic.core.app import create_app
    from recyclic.core.database import UnitOfWork, Uow
    from recyclic.core.events.bus import EventBus
    from recyclic.core.events.event import Event, EventMeta
    from recyclic.core.http import ApiError
    from recyclic.core.module_base import ModuleBase
    from recyclic.core.permissions import CurrentUser, User
    from recyclic.errors import RecyclicError

__all__ = [
    "ApiError",
    "Config",
    "CurrentUser",
    "Event",
    "EventBus",
    "EventMeta",
    "ModuleBase",
    "RecyclicError",
    "UnitOfWork",
    "Uow",
    "User",
    "create_app",
]

_LAZY = {
    "ApiError": "recyclic.core.http",
    "Config": "recyclic.config",
    "CurrentUser": "recyclic.core.permissions",
    "Event": "recyclic.core.events.event",
    "EventBus": "recyclic.core.events.bus",
    "EventMeta": "recyclic.core.events.event",
    "ModuleBase": "recyclic.core.module_base",
    "RecyclicError": "recyclic.errors",
    "UnitOfWork": "recyclic.core.database",
    "Uow": "recyclic.core.database",
    "User": "recyclic.core.permissions",
    "create_app": "recyclic.core.app",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for: `import recyclic`, as the pytest plugin does, costs nothing."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'recyclic' has no attribute {name!r}")
