"""What is written of an event: always what pydantic would write, by the shorter way where that is the same."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, computed_field, field_serializer

from recyclic.core.events.event import Event
from recyclic.core.events.ids import new_id
from recyclic.core.events.plain import is_plain


class Plain(Event):
    text: str
    number: int = Field(1, ge=0)
    ratio: float = 0.5
    known: bool | None = None
    amounts: dict[str, int] = Field(default_factory=dict)
    labels: list[str | None] | None = None


class Nested(Event):
    class Line(BaseModel):
        label: str

    lines: list[Line]


class Keyed(Event):
    amounts: dict[int, int]


class Dated(Event):
    at: datetime
    price: Decimal


class Spelled(Event):
    text: str

    @field_serializer("text")
    def _loud(self, text: str) -> str:
        return text.upper()


class Marked(Event):
    number: Annotated[int, PlainSerializer(str)]


class Hidden(Event):
    text: str = Field("", exclude=True)


class Counted(Event):
    text: str

    @computed_field
    def length(self) -> int:
        return len(self.text)


class Colour(enum.StrEnum):
    RED = "red"


class Coloured(Event):
    colour: Colour


@pytest.mark.parametrize("event", [Nested, Keyed, Dated, Spelled, Marked, Hidden, Counted, Coloured])
def test_event_that_pydantic_writes_in_its_own_way_is_left_to_it(event) -> None:
    assert not is_plain(event)


@given(
    st.builds(
        Plain,
        text=st.text(),
        number=st.integers(0, 2**63 - 1),
        ratio=st.floats(allow_nan=False, allow_infinity=False),
        known=st.sampled_from([None, True, False]),
        amounts=st.dictionaries(st.text(), st.integers(-(2**63), 2**63 - 1), max_size=3),
        labels=st.none() | st.lists(st.none() | st.text(), max_size=3),
    )
)
def test_plain_event_is_written_as_pydantic_would(event: Plain) -> None:
    assert is_plain(Plain)
    try:
        written = orjson.dumps(event.__dict__)
    except TypeError:  # a lone surrogate, which pydantic refuses as well
        with pytest.raises(ValueError, match="surrogates"):
            event.model_dump_json()
        return
    assert orjson.loads(written) == orjson.loads(orjson.dumps(event.model_dump(mode="json")))


@given(st.floats(0, 4_000_000_000))
def test_id_is_a_uuid_7_of_its_time(now: float) -> None:
    """Sortable by time, of the right version and variant, and never twice the same."""
    first, second = new_id(now), new_id(now)
    assert first != second
    assert int(first.replace("-", "")[:12], 16) == int(now * 1000)
    assert [len(part) for part in first.split("-")] == [8, 4, 4, 4, 12]
    assert (first[14], first[19] in "89ab") == ("7", True)
    assert datetime.fromtimestamp(int(first.replace("-", "")[:12], 16) / 1000, UTC).year >= 1970


def test_ids_do_not_repeat_over_many_pools() -> None:
    assert len({new_id(1.0) for _ in range(5_000)}) == 5_000


def test_fields_that_nobody_declared_travel_where_the_event_allows_them():
    class NoteTaken(Event):
        model_config = ConfigDict(extra="allow")
        note_id: str

    assert not is_plain(NoteTaken)
    assert NoteTaken(note_id="a", colour="red").model_dump(mode="json") == {"note_id": "a", "colour": "red"}
