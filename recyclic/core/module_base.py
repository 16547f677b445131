"""ModuleBase: what a module implements, and all that the host knows of its code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel
from sqlalchemy import MetaData

from recyclic.core.events.event import Event

if TYPE_CHECKING:
    from fastapi import FastAPI

    from recyclic.core.events.bus import EventBus


class ModuleBase(ABC):
    """The contract between the host and a module.

    The host builds it without arguments, then calls `register_routes`, `register_signals`, `register_ui_extensions`
    and `startup`, in this order, and `shutdown` at the end. Building one must do no I/O.
    """

    emits: ClassVar[tuple[type[Event], ...]] = ()
    """The events that this module publishes."""

    settings: ClassVar[type[BaseModel] | None] = None
    """Validates the module's `[modules.<id>]` table; None: the module has no settings."""

    metadata: ClassVar[MetaData | None] = None
    """The module's tables, all named `<id>_…`; created by the migrations in its `migrations/` folder."""

    @abstractmethod
    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Make the module ready. `config` is its own settings table, validated. Called once, on the host's loop."""

    @abstractmethod
    async def shutdown(self) -> None:
        """Give back what `startup` took. Called once after a startup that returned; must not raise."""

    def register_routes(self, app: FastAPI) -> None:
        """Add the module's routes, all under `/api/modules/<id>/`."""

    def register_signals(self, bus: EventBus) -> None:
        """Subscribe handlers with `bus.on`, and keep `bus` to emit."""

    def register_ui_extensions(self) -> dict[str, list[str]]:
        """Return slot → component names, the same slots as `[ui] slots` of the manifest."""
        return {}

    async def health(self) -> str | None:
        """Return what keeps the module from doing its work, or None. Asked often: answer from what is known."""
        return None
