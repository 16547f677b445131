"""The roll of members in the database: written under one lock, searched by folded text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from recyclic.core.events.ids import new_id
from recyclic.errors import Problem, RecyclicError
from recyclic.modules.members.models import Counter, Member
from recyclic.modules.members.names import fold, name_key

_KEY_LENGTH = 300
_MOST_MATCHES = 5


class PossibleDuplicateError(RecyclicError):
    """Raised when members with the same name or e-mail address exist; `matches` are up to five of them."""

    def __init__(self, matches: Sequence[Member]) -> None:
        numbers = ", ".join(str(match.number) for match in matches)
        super().__init__(
            Problem(
                f"a member with this name or e-mail address exists (number {numbers})",
                remedy="send confirm_duplicate: true to write it down all the same",
            )
        )
        self.matches = tuple(matches)


@dataclass(frozen=True, slots=True)
class Found:
    """One page of a search: `total` counts all pages, `more` says whether another follows."""

    members: Sequence[Member]
    total: int
    more: bool


class Roll:
    """The members, through one unit of work."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def enrol(self, values: Mapping[str, str | None], now: datetime, *, confirmed: bool) -> Member:
        """Write a member down under the next number.

        Raises:
            PossibleDuplicateError: someone alike exists and `confirmed` is false. No number is used up.
        """
        number = await self._next_number()
        member = Member(id=new_id(now.timestamp()), number=number, created_at=now, updated_at=now, **values)
        _index(member)
        if not confirmed:
            await self._refuse_duplicate_of(member)
        self._session.add(member)
        await self._session.flush()
        return member

    async def change(
        self, member: Member, values: Mapping[str, str | None], now: datetime, *, confirmed: bool
    ) -> Member:
        """Write `values` over `member`.

        Raises:
            PossibleDuplicateError: its new name or e-mail address is another's and `confirmed` is false.
        """
        await self._lock()
        before = (member.name_key, member.email_key)
        with self._session.no_autoflush:
            for column, value in values.items():
                setattr(member, column, value)
            _index(member)
            if not confirmed and (member.name_key, member.email_key) != before:
                await self._refuse_duplicate_of(member, name=member.name_key != before[0])
        member.updated_at = now
        await self._session.flush()
        return member

    async def get(self, member_id: str) -> Member | None:
        """Return the member, or None."""
        return await self._session.get(Member, member_id)

    async def search(self, words: str, limit: int, after: Member | None) -> Found:
        """Return members by name that have every word of `words` in their name, e-mail address or number."""
        matching = and_(true(), *(Member.search_key.contains(word, autoescape=True) for word in fold(words).split()))
        total = await self._session.scalar(select(func.count()).select_from(Member).where(matching))
        page = select(Member).where(matching).order_by(Member.sort_key, Member.number).limit(limit + 1)
        if after is not None:
            page = page.where(tuple_(Member.sort_key, Member.number) > (after.sort_key, after.number))
        members = (await self._session.scalars(page)).all()
        return Found(members[:limit], total or 0, len(members) > limit)

    async def _next_number(self) -> int:
        """Take the next number and hold the lock on it to the end of the transaction, so that none is given twice."""
        statement = update(Counter).values(last_number=Counter.last_number + 1).returning(Counter.last_number)
        return (await self._session.execute(statement)).scalar_one()

    async def _lock(self) -> None:
        await self._session.execute(update(Counter).values(last_number=Counter.last_number))

    async def _refuse_duplicate_of(self, member: Member, *, name: bool = True) -> None:
        alike: list[ColumnElement[bool]] = [Member.name_key == member.name_key] if name else []
        if member.email_key is not None:
            alike.append(Member.email_key == member.email_key)
        if not alike:
            return
        query = select(Member).where(or_(*alike), Member.id != member.id).order_by(Member.number).limit(_MOST_MATCHES)
        if matches := (await self._session.scalars(query)).all():
            raise PossibleDuplicateError(matches)


def _index(member: Member) -> None:
    """Fill the columns that are searched and compared."""
    member.name_key = name_key(member.first_name, member.last_name)[:_KEY_LENGTH]
    member.email_key = None if member.email is None else fold(member.email)[:_KEY_LENGTH]
    member.sort_key = fold(f"{member.last_name} {member.first_name}")[:_KEY_LENGTH]
    member.search_key = " ".join(
        fold(part) for part in (member.last_name, member.first_name, member.email or "", str(member.number))
    )
