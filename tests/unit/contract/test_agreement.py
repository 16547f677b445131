"""What a producer sends and what a handler wants, compared by their schemas."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, TypeAdapter

from recyclic.testing.contract.agreement import disagreement


class Colour(StrEnum):
    RED = "red"


class Line(BaseModel):
    label: str
    cents: int


class Wide(BaseModel):
    label: str
    cents: int | None


AGREE = [
    (int, int),
    (int, float),
    (date, date),
    (date, str),
    (date, datetime),
    (datetime, str),
    (UUID, str),
    (bool, int),
    (Colour, str),
    (Literal["a"], str),
    (str, Any),
    (Any, int),
    (str, str | None),
    (list[int], list[float]),
    (dict[str, int], dict[str, int]),
    (dict[str, int], dict[str, Any]),
    (Line, Line),
    (Line, dict[str, Any]),
    (list[Line], list[Line]),
    (Decimal, Decimal),
]
DIFFER = [
    (int, str, "may be integer, and string is wanted"),
    (str, int, "may be string, and integer is wanted"),
    (float, int, "may be number, and integer is wanted"),
    (str | None, str, "may be null, and string is wanted"),
    (str, date, "may be string, and string (date) is wanted"),
    (datetime, date, "may be string (date-time), and string (date) is wanted"),
    (str, UUID, "may be string, and string (uuid) is wanted"),
    (list[str], str, "may be array, and string is wanted"),
    (list[str], list[int], "each item may be string, and integer is wanted"),
    (dict[str, str], dict[str, int], "its values may be string, and integer is wanted"),
    (Wide, Line, "its 'cents' may be null, and integer is wanted"),
]


@pytest.mark.parametrize(("sent", "wanted"), AGREE)
def test_agrees(sent, wanted):
    assert compared(sent, wanted) == ""


@pytest.mark.parametrize(("sent", "wanted", "text"), DIFFER)
def test_differs(sent, wanted, text):
    assert compared(sent, wanted) == text


def compared(sent, wanted):
    schema = TypeAdapter(sent).json_schema(mode="serialization")
    return disagreement(TypeAdapter(wanted).json_schema(mode="validation"), schema, schema)
