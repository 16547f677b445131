"""members: the people of the association."""

from __future__ import annotations

from typing import Any, ClassVar

from fastapi import FastAPI
from sqlalchemy import MetaData

from recyclic.core.events.bus import EventBus
from recyclic.core.module_base import ModuleBase
from recyclic.modules.members.events import MemberCreated
from recyclic.modules.members.models import metadata
from recyclic.modules.members.routes import member_routes


class MembersModule(ModuleBase):
    """Keeps the roll of members and tells the others who joins."""

    emits = (MemberCreated,)
    metadata: ClassVar[MetaData | None] = metadata

    bus: EventBus

    def register_routes(self, app: FastAPI) -> None:
        """Serve the roll."""
        app.include_router(member_routes(lambda: self.bus))

    def register_signals(self, bus: EventBus) -> None:
        """Keep the bus: members only emits."""
        self.bus = bus

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Nothing to prepare: the database is the host's."""

    async def shutdown(self) -> None:
        """Nothing to give back."""


MODULE_CLASS = MembersModule
