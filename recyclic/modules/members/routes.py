"""The routes of members: `/api/modules/members`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request

from recyclic.core.database import Uow
from recyclic.core.events.bus import EventBus
from recyclic.core.http import ApiError
from recyclic.modules.members.events import MemberCreated
from recyclic.modules.members.models import Member
from recyclic.modules.members.roll import PossibleDuplicateError, Roll
from recyclic.modules.members.schemas import MemberChange, MemberOut, MemberPage, NewMember


def member_routes(bus: Callable[[], EventBus]) -> APIRouter:
    """Return the routes; `bus` is asked for at each request, for the host hands it over after the routes."""
    router = APIRouter(prefix="/api/modules/members", tags=["members"])

    @router.get("/members")
    async def search(
        uow: Uow,
        search: Annotated[str, Query(max_length=200, description="Words, all of which must be found.")] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        after: Annotated[str | None, Query(max_length=36, description="The `next` of the page before.")] = None,
    ) -> MemberPage:
        """List members by name."""
        roll = Roll(uow.session)
        last = None if after is None else await _member(roll, after)
        found = await roll.search(search, limit, last)
        members = [MemberOut.model_validate(member) for member in found.members]
        return MemberPage(items=members, total=found.total, next=members[-1].id if found.more else None)

    @router.post("/members", status_code=201)
    async def create(request: Request, uow: Uow, new: NewMember) -> MemberOut:
        """Write a new member down; 409 `possible_duplicate` where someone alike exists."""
        values = new.model_dump(exclude={"confirm_duplicate"})
        try:
            member = await Roll(uow.session).enrol(values, _now(request), confirmed=new.confirm_duplicate)
        except PossibleDuplicateError as error:
            raise _conflict(error) from error
        joined = MemberCreated(
            member_id=member.id,
            number=member.number,
            first_name=member.first_name,
            last_name=member.last_name,
            email=member.email,
        )
        await bus().within(uow).emit(joined)
        return MemberOut.model_validate(member)

    @router.get("/members/{member_id}")
    async def get(uow: Uow, member_id: str) -> MemberOut:
        """Return one member."""
        return MemberOut.model_validate(await _member(Roll(uow.session), member_id))

    @router.patch("/members/{member_id}")
    async def change(request: Request, uow: Uow, member_id: str, new: MemberChange) -> MemberOut:
        """Change what is given of a member."""
        roll = Roll(uow.session)
        member = await _member(roll, member_id)
        try:
            await roll.change(member, new.values(), _now(request), confirmed=new.confirm_duplicate)
        except PossibleDuplicateError as error:
            raise _conflict(error) from error
        return MemberOut.model_validate(member)

    return router


async def _member(roll: Roll, member_id: str) -> Member:
    member = await roll.get(member_id) if member_id.isprintable() else None
    if member is None:
        raise ApiError(404, "unknown_member", f"There is no member {member_id!r}.")
    return member


def _conflict(error: PossibleDuplicateError) -> ApiError:
    shown = ("id", "number", "first_name", "last_name", "email")
    matches = [{key: getattr(match, key) for key in shown} for match in error.matches]
    return ApiError(409, "possible_duplicate", str(error), details={"matches": matches})


def _now(request: Request) -> datetime:
    return datetime.fromtimestamp(request.app.state.clock.now(), UTC)
