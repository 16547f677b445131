"""What the routes of barcodes take and give."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_MOST_CENTS = 100_000_000  # a million euros: a slip of the finger, not a price
_MOST_GRAMS = 10_000_000


def _line(text: str) -> str:
    """Compose accents and close up blanks; refuse control characters, which cannot be printed."""
    text = " ".join(unicodedata.normalize("NFC", text).split())
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in text):
        raise ValueError("must not contain control characters")
    if not 0 < len(text) <= 200:
        raise ValueError("must have between 1 and 200 characters")
    return text


def _empty_is_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _utc(moment: datetime) -> datetime:
    """Mark what SQLite gives back without a zone: it was written in UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Line = Annotated[str, AfterValidator(_line)]


class NewLabel(BaseModel):
    """What a label is to tell. Money is in cents, weight in grams; an empty category counts as left out."""

    model_config = ConfigDict(extra="forbid")

    label: Line
    category_name: Annotated[Line | None, BeforeValidator(_empty_is_none)] = None
    price_cents: int = Field(strict=True, ge=0, le=_MOST_CENTS)
    weight_grams: int | None = Field(default=None, strict=True, ge=0, le=_MOST_GRAMS)


class LabelOut(BaseModel):
    """A label as the API shows one."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    code: str
    label: str
    category_name: str | None
    price_cents: int
    weight_grams: int | None
    created_at: Annotated[datetime, AfterValidator(_utc)]


class LabelPage(BaseModel):
    """A page of labels, newest first; `next` is the `before` of the following page."""

    items: list[LabelOut]
    next: str | None
