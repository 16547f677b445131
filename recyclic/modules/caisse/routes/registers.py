"""Registers: which there are, and a new one."""

from __future__ import annotations

from fastapi import APIRouter

from recyclic.core.database import Uow
from recyclic.modules.caisse.drafts import NewRegister
from recyclic.modules.caisse.routes.parameters import CurrentTill
from recyclic.modules.caisse.sessions import add_register, all_registers
from recyclic.modules.caisse.views import RegisterView

router = APIRouter(prefix="/registers")


@router.get("")
async def list_registers(uow: Uow) -> list[RegisterView]:
    """Return the registers, each with its open session."""
    return [RegisterView.of(register, session) for register, session in await all_registers(uow.session)]


@router.post("", status_code=201)
async def create_register(draft: NewRegister, uow: Uow, till: CurrentTill) -> RegisterView:
    """Set up a register."""
    return RegisterView.of(await add_register(uow.session, till, draft.name))
