"""Recyclic: the modular back office of reuse shops. These are the host's public names; the kit is `recyclic.testing`."""

from recyclic.core.events.bus import EventBus
from recyclic.core.events.event import Event, EventMeta
from recyclic.core.module_base import ModuleBase
from recyclic.errors import RecyclicError

__all__ = ["Event", "EventBus", "EventMeta", "ModuleBase", "RecyclicError"]
__version__ = "0.1.0"
