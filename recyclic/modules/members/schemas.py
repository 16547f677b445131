"""What the routes of members take and give."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_EMAIL = re.compile(r"[^@\s\"(),:;<>\[\\\]]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_PHONE = re.compile(r"\+?[0-9 .()/-]{3,30}")


def _line(longest: int) -> AfterValidator:
    """Compose accents and close up blanks; refuse control characters, which no name or address has."""

    def clean(text: str) -> str:
        text = " ".join(unicodedata.normalize("NFC", text).split())
        if any(unicodedata.category(char) in {"Cc", "Cs"} for char in text):
            raise ValueError("must not contain control characters")
        if len(text) > longest:
            raise ValueError(f"must have at most {longest} characters")
        return text

    return AfterValidator(clean)


def _lettered(text: str) -> str:
    if not any(char.isalpha() for char in text):
        raise ValueError("must contain a letter")
    return text


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise ValueError("is not an e-mail address")
    return text


def _phone(text: str) -> str:
    if not _PHONE.fullmatch(text):
        raise ValueError("is not a telephone number")
    return text


def _empty_is_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _utc(moment: datetime) -> datetime:
    """Mark what SQLite gives back without a zone: it was written in UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Name = Annotated[str, _line(100), AfterValidator(_lettered)]
Email = Annotated[Annotated[str, _line(254), AfterValidator(_email)] | None, BeforeValidator(_empty_is_none)]
Phone = Annotated[Annotated[str, _line(30), AfterValidator(_phone)] | None, BeforeValidator(_empty_is_none)]
Address = Annotated[Annotated[str, _line(300)] | None, BeforeValidator(_empty_is_none)]
PostalCode = Annotated[Annotated[str, _line(12)] | None, BeforeValidator(_empty_is_none)]
City = Annotated[Annotated[str, _line(100)] | None, BeforeValidator(_empty_is_none)]
Moment = Annotated[datetime, AfterValidator(_utc)]


class NewMember(BaseModel):
    """Someone who joins. An empty optional field counts as left out."""

    model_config = ConfigDict(extra="forbid")

    first_name: Name
    last_name: Name
    email: Email = None
    phone: Phone = None
    address: Address = None
    postal_code: PostalCode = None
    city: City = None
    confirm_duplicate: bool = Field(default=False, description="Write the member down although someone alike exists.")


class MemberChange(BaseModel):
    """What is to change; a field that is left out stays, an optional one that is empty or null is cleared."""

    model_config = ConfigDict(extra="forbid")

    first_name: Name | None = None
    last_name: Name | None = None
    email: Email = None
    phone: Phone = None
    address: Address = None
    postal_code: PostalCode = None
    city: City = None
    confirm_duplicate: bool = False

    def values(self) -> dict[str, str | None]:
        """Return the columns to write. A name cannot be cleared, so null leaves it."""
        given = self.model_dump(exclude_unset=True, exclude={"confirm_duplicate"})
        return {key: value for key, value in given.items() if value is not None or not key.endswith("_name")}


class MemberOut(BaseModel):
    """A member as the API shows one."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    number: int
    first_name: str
    last_name: str
    email: str | None
    phone: str | None
    address: str | None
    postal_code: str | None
    city: str | None
    created_at: Moment
    updated_at: Moment


class MemberPage(BaseModel):
    """A page of the roll, by name; `next` is the `after` of the following page."""

    items: list[MemberOut]
    total: int
    next: str | None
