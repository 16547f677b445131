"""Payloads of an event, made from its schema: plausible, valid, and the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from pydantic import ValidationError

from recyclic.core.events.event import Event
from recyclic.errors import Problem, RecyclicError
from recyclic.testing.sampler import Sampler

_TRIES = 25


class PayloadError(RecyclicError):
    """Raised when no valid payload can be made from an event's schema and what was given."""


def payloads(
    event: type[Event], random: Random, count: int, given: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield `count` payloads of `event` as JSON values. Fields in `given` are taken as they are.

    The event's own `examples` (in `model_config["json_schema_extra"]`) are the base where there are any: an event whose
    fields depend on each other, such as a total and its parts, says there what fits together; the rest is drawn.

    Raises:
        PayloadError: the event refuses everything that was drawn; the text says why and what to do.
    """
    schema = event.model_json_schema(mode="validation")
    examples = schema.pop("examples", None) or [{}]
    sampler = Sampler(schema, random)
    for _ in range(count):
        yield _one(event, schema, sampler, {**random.choice(examples), **(given or {})}, given)


def _one(
    event: type[Event],
    schema: dict[str, Any],
    sampler: Sampler,
    fixed: Mapping[str, Any],
    given: Mapping[str, Any] | None,
) -> dict[str, Any]:
    reason = ""
    for _ in range(_TRIES):
        try:
            drawn = sampler.sample(schema)
            return event.model_validate({**drawn, **fixed}).model_dump(mode="json")
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            reason = f"{'.'.join(map(str, first['loc'])) or 'the payload'}: {first['msg']}"
        except ValueError as error:
            reason = str(error)
    remedy = "correct the payload that you gave" if given else "give the event examples, see docs/simulate.md"
    raise PayloadError(Problem(f"no valid payload of {event.name} could be made ({reason})", event.__name__, remedy))
