"""The labels in the database: numbered under one lock, found by code."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from recyclic.core.events.ids import new_id
from recyclic.modules.barcodes.ean13 import in_store_code
from recyclic.modules.barcodes.face import Item
from recyclic.modules.barcodes.models import Counter, Label
from recyclic.modules.barcodes.schemas import NewLabel


class Labels:
    """The labels, through one unit of work."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, new: NewLabel, prefix: int, now: datetime) -> Label:
        """Write a label down under the next number, with its code."""
        number = await self._next_number()
        label = Label(
            id=new_id(now.timestamp()),
            number=number,
            code=in_store_code(number, prefix),
            created_at=now,
            **new.model_dump(),
        )
        self._session.add(label)
        await self._session.flush()
        return label

    async def by_code(self, code: str) -> Label | None:
        """Return the label with this code, or None."""
        return (await self._session.scalars(select(Label).where(Label.code == code))).one_or_none()

    async def by_ids(self, ids: Sequence[str]) -> dict[str, Label]:
        """Return those of the labels that exist, by id."""
        printable = {label_id for label_id in ids if label_id.isprintable()}
        found = await self._session.scalars(select(Label).where(Label.id.in_(printable)))
        return {label.id: label for label in found}

    async def newest(self, limit: int, before: str | None) -> tuple[Sequence[Label], bool]:
        """Return labels, newest first, and whether more follow; `before` is the code of the last one seen."""
        page = select(Label).order_by(Label.number.desc()).limit(limit + 1)
        if before is not None:
            page = page.where(Label.number < select(Label.number).where(Label.code == before).scalar_subquery())
        labels = (await self._session.scalars(page)).all()
        return labels[:limit], len(labels) > limit

    async def _next_number(self) -> int:
        """Take the next number and hold the lock on it to the end of the transaction, so that none is given twice."""
        statement = update(Counter).values(last_number=Counter.last_number + 1).returning(Counter.last_number)
        return (await self._session.execute(statement)).scalar_one()


def item_of(label: Label) -> Item:
    """Return what is printed of `label`."""
    return Item(label.code, label.label, label.category_name, label.price_cents, label.weight_grams)
