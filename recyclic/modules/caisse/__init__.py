"""caisse: the till: registers, sessions, tickets, refunds, and the paper notebook of a day without a till."""

from __future__ import annotations

from typing import Any, ClassVar

from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import MetaData

from recyclic.core.events.bus import EventBus
from recyclic.core.module_base import ModuleBase
from recyclic.modules.caisse.events import SaleClosed
from recyclic.modules.caisse.models import Table
from recyclic.modules.caisse.routes import router
from recyclic.modules.caisse.settings import CaisseSettings
from recyclic.modules.caisse.till import Till


class CaisseModule(ModuleBase):
    """Keeps the tills of a shop and tells the others when a session is closed."""

    emits = (SaleClosed,)
    settings: ClassVar[type[BaseModel] | None] = CaisseSettings
    metadata: ClassVar[MetaData | None] = Table.metadata

    bus: EventBus

    def register_routes(self, app: FastAPI) -> None:
        """Serve the till's API."""
        app.include_router(router)

    def register_signals(self, bus: EventBus) -> None:
        """Keep the bus: the till only emits."""
        self.bus = bus

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Give the routes what they work with."""
        app.state.caisse = Till(bus=self.bus, settings=CaisseSettings.model_validate(config), clock=app.state.clock)

    async def shutdown(self) -> None:
        """Nothing to give back."""


MODULE_CLASS = CaisseModule
