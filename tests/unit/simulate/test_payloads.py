"""Payloads made from an event's schema: valid, and the same for the same seed."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Annotated, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from recyclic.core.events.event import Event
from recyclic.testing.pattern import matching_text
from recyclic.testing.payloads import PayloadError, payloads


class Line(BaseModel):
    label: Annotated[str, Field(min_length=3, max_length=5)]
    cents: Annotated[int, Field(ge=100, lt=110, multiple_of=5)]
    inner: list[Line] = []


class EverythingHappened(Event):
    event_id: UUID
    day: date
    at: datetime
    took: timedelta
    price: Decimal
    share: Annotated[float, Field(gt=0, lt=1)]
    code: Annotated[str, Field(pattern=r"^[A-Z]{2}-\d{3}(x|yz)?$")]
    kind: Literal["sale", "gift"]
    maybe: int | None
    total_cents: int
    lines: Annotated[list[Line], Field(min_length=2, max_length=4)]
    payments: dict[str, int]
    unique: Annotated[set[int], Field(min_length=2)]
    pair: tuple[int, str]
    never: None = None


class BalanceStruck(Event):
    model_config = ConfigDict(json_schema_extra={"examples": [{"left": 3, "right": 4, "total": 7}]})
    struck_id: str
    left: int
    right: int
    total: int

    @model_validator(mode="after")
    def _balanced(self):
        if self.left + self.right != self.total:
            raise ValueError("does not balance")
        return self


class ImpossibleStruck(BalanceStruck):
    model_config = ConfigDict(json_schema_extra={"examples": [{"left": 3}]})


@pytest.mark.parametrize("seed", range(30))
def test_payload_is_valid(seed):
    for payload in payloads(EverythingHappened, Random(seed), 5):
        EverythingHappened.model_validate(payload)


def test_same_seed_makes_the_same_payloads():
    first, again, other = (list(payloads(EverythingHappened, Random(seed), 4)) for seed in (7, 7, 8))
    assert first == again
    assert first != other
    assert len({str(payload["event_id"]) for payload in first}) == 4


def test_given_fields_are_taken_as_they_are():
    (payload,) = payloads(EverythingHappened, Random(0), 1, {"kind": "gift", "total_cents": 1})
    assert (payload["kind"], payload["total_cents"]) == ("gift", 1)


def test_given_field_that_does_not_fit_is_refused():
    with pytest.raises(PayloadError, match=r"total: Extra inputs.*correct the payload that you gave"):
        list(payloads(EverythingHappened, Random(0), 1, {"total": 1}))


def test_fields_that_depend_on_each_other_come_from_the_examples():
    for payload in payloads(BalanceStruck, Random(1), 3):
        assert (payload["left"], payload["right"], payload["total"]) == (3, 4, 7)
        assert payload["struck_id"]


def test_event_that_refuses_everything_says_what_to_do():
    with pytest.raises(PayloadError, match=r"does not balance.*give the event examples"):
        list(payloads(ImpossibleStruck, Random(1), 1))


PATTERNS = [r"^\d{4}-\d{2}$", r"^(cash|card)$", r"[^a-z]+", r"^\w+@\w+\.fr$", r"^a?b*c+.$", r"^[\D]{3}\S$"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_text_matches_its_pattern(pattern):
    for seed in range(20):
        assert re.search(pattern, matching_text(pattern, Random(seed)))
