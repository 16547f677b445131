"""The till's API, under `/api/modules/caisse`."""

from __future__ import annotations

from fastapi import APIRouter

from recyclic.modules.caisse.routes import categories, imports, registers, sessions, tickets

router = APIRouter(prefix="/api/modules/caisse", tags=["caisse"])
for part in (registers, categories, sessions, tickets, imports):
    router.include_router(part.router)
