"""Registers and their sessions: opened with a float, closed with a count, and never changed after that."""

from __future__ import annotations

from datetime import date
from typing import Literal

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from recyclic.core.database import UnitOfWork
from recyclic.core.http import ApiError
from recyclic.modules.caisse.categories import name_key
from recyclic.modules.caisse.drafts import Count
from recyclic.modules.caisse.events import SaleClosed
from recyclic.modules.caisse.models import CashSession, Register
from recyclic.modules.caisse.till import Till


async def all_registers(db: AsyncSession) -> list[tuple[Register, CashSession | None]]:
    """Return the registers of the shop, each with its open session. The notebook's register is not one to open."""
    registers = await db.scalars(select(Register).where(~Register.deferred).order_by(Register.name_key))
    open_ones = await db.scalars(select(CashSession).where(CashSession.status == "open", ~CashSession.deferred))
    by_register = {session.register_id: session for session in open_ones}
    return [(register, by_register.get(register.id)) for register in registers]


async def add_register(db: AsyncSession, till: Till, name: str) -> Register:
    """Set up a register.

    Raises:
        ApiError: 409 `register_exists`: there is one of this name.
    """
    register = Register(name=name, name_key=name_key(name), deferred=False, created_at=till.now())
    try:
        async with db.begin_nested():
            db.add(register)
    except IntegrityError as error:
        raise ApiError(409, "register_exists", f"There is a register named {name!r} already.") from error
    return register


async def open_session(
    db: AsyncSession, till: Till, *, register_id: str, opening_float_cents: int, operator: str
) -> CashSession:
    """Open a register. The database, not this function, sees to it that a register is open once.

    Raises:
        ApiError: 404 `register_unknown`, or 409 `session_already_open` with the open session's id in the details.
    """
    register = await db.get(Register, register_id)
    if register is None or register.deferred:
        raise ApiError(404, "register_unknown", f"There is no register {register_id!r}.")
    session = CashSession(
        register=register,
        operator=operator,
        status="open",
        deferred=False,
        business_date=till.today(),
        opened_at=till.now(),
        opening_float_cents=opening_float_cents,
    )
    _start_at_zero(session)
    try:
        async with db.begin_nested():
            db.add(session)
    except IntegrityError as error:
        opened = CashSession.register_id == register_id, CashSession.status == "open", ~CashSession.deferred
        found = await db.scalar(select(CashSession.id).where(*opened))
        if found is None:
            raise
        text = f"The register is open already, in session {found}; close that one first."
        raise ApiError(409, "session_already_open", text, details={"session_id": found}) from error
    return session


async def deferred_session(db: AsyncSession, till: Till, *, import_id: str, day: date, operator: str) -> CashSession:
    """Return the open session into which an import books the tickets of `day`, opened now if there is none.

    It has no float and no drawer, belongs to the notebook's register, and collides with no live session.
    """
    of_day = (
        CashSession.import_id == import_id,
        CashSession.business_date == day,
        CashSession.status == "open",
    )
    session = await db.scalar(select(CashSession).where(*of_day).with_for_update(of=CashSession))
    if session is None:
        session = CashSession(
            register=await _notebook_register(db, till),
            import_id=import_id,
            operator=operator,
            status="open",
            deferred=True,
            business_date=day,
            opened_at=till.now(),
            opening_float_cents=0,
        )
        _start_at_zero(session)
        db.add(session)
        await db.flush()
    return session


async def find_session(db: AsyncSession, session_id: str, *, lock: bool = False) -> CashSession:
    """Return a session; with `lock`, nobody else changes it until the transaction ends.

    Raises:
        ApiError: 404 `session_unknown`.
    """
    query = select(CashSession).where(CashSession.id == session_id)
    if lock:
        query = query.with_for_update(of=CashSession).execution_options(populate_existing=True)
    session = await db.scalar(query)
    if session is None:
        raise ApiError(404, "session_unknown", f"There is no session {session_id!r}.")
    return session


async def list_sessions(
    db: AsyncSession, *, status: Literal["open", "closed"] | None, limit: int, before: str | None
) -> list[CashSession]:
    """Return sessions, the one opened last first; `before` is the id after which the list goes on."""
    query = select(CashSession).order_by(CashSession.id.desc()).limit(limit)
    if status is not None:
        query = query.where(CashSession.status == status)
    if before is not None:
        query = query.where(CashSession.id < before)
    return list(await db.scalars(query))


def require_open(session: CashSession) -> None:
    """Raise ApiError 409 `session_closed` for a session that is closed."""
    if session.status != "open":
        details = {"session_id": session.id}
        raise ApiError(409, "session_closed", "The session is closed; nothing in it can change.", details=details)


async def close_session(uow: UnitOfWork, till: Till, session_id: str, count: Count) -> CashSession:
    """Close a session with what was counted, and publish `sale_closed` with the same transaction.

    Raises:
        ApiError: 404 `session_unknown`, 409 `session_closed`, or 422 `variance_comment_required` when the count is off
            by more than the shop's threshold and nobody says why.
    """
    session = await find_session(uow.session, session_id, lock=True)
    require_open(session)
    variance = count.counted_cash_cents - session.theoretical_cash_cents
    if abs(variance) > till.settings.variance_threshold_cents and not count.variance_comment:
        text = f"The drawer should hold {session.theoretical_cash_cents} cents and holds {count.counted_cash_cents}."
        raise ApiError(
            422,
            "variance_comment_required",
            f"{text} Say why in variance_comment.",
            [("variance_comment", f"the count is off by {variance} cents")],
            details={"theoretical_cash_cents": session.theoretical_cash_cents, "variance_cents": variance},
        )
    session.status = "closed"
    session.closed_at = till.now()
    session.counted_cash_cents = count.counted_cash_cents
    session.variance_comment = count.variance_comment
    await uow.session.flush()
    await till.bus.within(uow).emit(_closed_event(session))
    return session


def _closed_event(session: CashSession) -> SaleClosed:
    assert session.closed_at is not None
    assert session.counted_cash_cents is not None
    assert session.variance_cents is not None
    return SaleClosed(
        session_id=session.id,
        register_id=session.register_id,
        register_name=session.register.name,
        operator=session.operator,
        business_date=session.business_date,
        opened_at=session.opened_at,
        closed_at=session.closed_at,
        deferred=session.deferred,
        ticket_count=session.ticket_count,
        sales_cents=session.sales_cents,
        donations_cents=session.donations_cents,
        total_cents=session.total_cents,
        payments=session.payments,
        opening_float_cents=session.opening_float_cents,
        theoretical_cash_cents=session.theoretical_cash_cents,
        counted_cash_cents=session.counted_cash_cents,
        variance_cents=session.variance_cents,
        variance_comment=session.variance_comment,
    )


async def _notebook_register(db: AsyncSession, till: Till) -> Register:
    """Return the one register of deferred entry; a shop that has a till of the same name gets a number behind it."""
    taken = set(await db.scalars(select(Register.name_key).where(~Register.deferred)))
    found = await db.scalar(select(Register).where(Register.deferred))
    if found is not None:
        return found
    name, number = till.settings.deferred_register, 2
    while name_key(name) in taken:
        name, number = f"{till.settings.deferred_register} {number}", number + 1
    register = Register(name=name, name_key=name_key(name), deferred=True, created_at=till.now())
    try:
        async with db.begin_nested():
            db.add(register)
    except IntegrityError:  # another import made it in the same moment
        return (await db.scalars(select(Register).where(Register.deferred))).one()
    return register


def _start_at_zero(session: CashSession) -> None:
    session.ticket_count = session.sales_cents = session.donations_cents = 0
    session.cash_cents = session.card_cents = session.check_cents = 0
    session.closed_at = session.counted_cash_cents = None
    session.variance_comment = ""
