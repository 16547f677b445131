"""What a handler's signature says it needs."""

from __future__ import annotations

import functools
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest

from recyclic.core.events.contract import HandlerContract
from recyclic.core.events.event import Envelope, EventMeta
from recyclic.errors import EventError


class Method(Enum):
    """How somebody pays."""

    CASH = "cash"


def envelope(**data: Any) -> Envelope:
    return Envelope(id="1", event="sale_closed", source="caisse", time=datetime(2025, 9, 17, tzinfo=UTC), data=data)


def bind(handler: Any, **data: Any) -> dict[str, Any]:
    return HandlerContract.of(handler, "here").bind(envelope(**data), 3)


def test_values_arrive_as_annotated() -> None:
    """Dates, decimals, enums and nested types are made of what JSON carried."""

    async def handler(day: date, price: Decimal, method: Method, pair: tuple[int, str], anything) -> None: ...

    values = bind(handler, day="2025-09-17", price="1.40", method="cash", pair=[1, "a"], anything=None, more=1)
    assert values == {
        "day": date(2025, 9, 17),
        "price": Decimal("1.40"),
        "method": Method.CASH,
        "pair": (1, "a"),
        "anything": None,
    }


def test_rest_and_meta_are_given_where_they_are_asked_for() -> None:
    """And nowhere else."""

    async def handler(envelope: EventMeta, model_config: int, **data: Any) -> None: ...

    values = bind(handler, model_config=1, json=2)
    assert values.pop("envelope").attempt == 3
    assert values == {"model_config": 1, "json": 2}


def test_field_with_a_default_is_not_needed() -> None:
    """Its absence leaves the default to the handler; a wrong value is still wrong."""

    async def handler(note: str = "none") -> None: ...

    contract = HandlerContract.of(handler, "here")
    assert not contract.needs["note"].required
    assert bind(handler) == {}
    with pytest.raises(EventError, match="note"):
        bind(handler, note=[])


def test_every_missing_or_wrong_field_is_told() -> None:
    """All at once."""

    async def handler(a: int, b: str, c: float) -> None: ...

    with pytest.raises(EventError) as caught:
        bind(handler, b=1, c=2)
    assert [problem.what for problem in caught.value.problems] == [
        "a: Field required",
        "b: Input should be a valid string",
    ]


class Callable:
    """A handler that is an object."""

    async def __call__(self, a: int) -> None: ...


async def _with_extra(a: int, b: int) -> None: ...


@pytest.mark.parametrize("handler", [Callable(), Callable().__call__, functools.partial(_with_extra, b=2)])
def test_methods_objects_and_partials_are_handlers(handler: Any) -> None:
    """Whatever can be awaited with keywords."""
    assert bind(handler, a=1) == {"a": 1}


def _not_async(a: int) -> None: ...


async def _positional(a: int, /) -> None: ...


async def _star(*a: int) -> None: ...


async def _unknown(a: Nowhere) -> None: ...  # noqa: F821 - the case


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (_not_async, "async def"),
        (_positional, "called with keywords"),
        (_star, "called with keywords"),
        (_unknown, "Nowhere"),
    ],
)
def test_signature_that_cannot_be_used_is_refused(handler: Any, says: str) -> None:
    """At the subscription, not at the first event."""
    with pytest.raises(EventError, match=says):
        HandlerContract.of(handler, "module paheko, on('sale_closed')")
