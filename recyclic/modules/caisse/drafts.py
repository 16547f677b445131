"""What may be asked of the till: the bodies of its requests, with their limits."""

from __future__ import annotations

import unicodedata
from datetime import date as Day  # noqa: N812  a field is named date
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from recyclic.modules.caisse.amounts import MAX_PRICE_CENTS, MAX_WEIGHT_GRAMS

MAX_FLOAT_CENTS = 1_000_000
MAX_AMOUNT_CENTS = 100_000_000


def _printable(text: str) -> str:
    if any(unicodedata.category(char) == "Cc" and char not in "\n\t" for char in text):
        raise ValueError("the text holds control characters")
    return text


Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(_printable)]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000), AfterValidator(_printable)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_printable)]
Cents = Annotated[int, Field(strict=True, ge=0, le=MAX_AMOUNT_CENTS)]
Price = Annotated[int, Field(strict=True, ge=0, le=MAX_PRICE_CENTS)]
Grams = Annotated[int, Field(strict=True, ge=0, le=MAX_WEIGHT_GRAMS)]
Quantity = Annotated[int, Field(strict=True, ge=1, le=999)]


class Draft(BaseModel):
    """A request's body: nothing unknown in it, nothing changed on the way."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NewRegister(Draft):
    """A till to set up."""

    name: Annotated[Line, StringConstraints(min_length=1, max_length=100)]


class NewSession(Draft):
    """A register to open, with the float that lies in it."""

    register_id: Id
    opening_float_cents: Annotated[int, Field(strict=True, ge=0, le=MAX_FLOAT_CENTS)]


class Count(Draft):
    """What was counted in the drawer."""

    counted_cash_cents: Annotated[int, Field(strict=True, ge=0, le=10**12)]
    variance_comment: Note = ""


class NewLine(Draft):
    """One line to sell. The price is per piece; the weight is the whole line's."""

    category_id: Id | None = None
    category_name: Line | None = None
    label: Line = ""
    quantity: Quantity = 1
    weight_grams: Grams | None = None
    unit_price_cents: Price

    @model_validator(mode="after")
    def _says_what_is_sold(self) -> NewLine:
        if not (self.label or self.category_id or self.category_name):
            raise ValueError("a line needs a label or a category")
        return self


class NewPayment(Draft):
    """One payment; `free` pays nothing."""

    method: Literal["cash", "card", "check", "free"]
    amount_cents: Cents
    tendered_cents: Cents | None = None

    @model_validator(mode="after")
    def _covers_the_amount(self) -> NewPayment:
        if self.tendered_cents is not None and self.method != "cash":
            raise ValueError("only cash is tendered")
        if self.tendered_cents is not None and self.tendered_cents < self.amount_cents:
            raise ValueError("the cash tendered is less than the amount")
        return self


class NewTicket(Draft):
    """A ticket to record. Sent again with the same `client_id`, it is recorded once."""

    lines: Annotated[list[NewLine], Field(max_length=200)] = []
    payments: Annotated[list[NewPayment], Field(max_length=20)] = []
    donation_cents: Price = 0
    note: Note = ""
    client_id: Id | None = None


class ReturnedLine(Draft):
    """How many pieces of a ticket's line come back."""

    line_id: Id
    quantity: Quantity


class NewRefund(Draft):
    """What comes back of a ticket, and from which open session the money is paid out."""

    session_id: Id
    method: Literal["cash", "card", "check", "free"]
    lines: Annotated[list[ReturnedLine], Field(min_length=1, max_length=200)]
    reason: Annotated[Note, StringConstraints(min_length=1)]
    client_id: Id | None = None


class Decision(Draft):
    """What a person decides about a line of a notebook; what is given replaces what was read."""

    decision: Literal["book", "discard"]
    date: Day | None = None
    kind: Literal["sale", "donation"] | None = None
    price_cents: Price | None = None
    weight_grams: Grams | None = None
    category: Line | None = None
    label: Line | None = None
    method: Literal["cash", "card", "check", "free"] | None = None
    reason: Note = ""
