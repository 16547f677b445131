"""HandlerContract: what a handler needs of an event, read from its signature."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NotRequired, Self, get_type_hints

from pydantic import PydanticUserError, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from recyclic.core.events.event import Envelope, EventMeta
from recyclic.errors import EventError, Problem

Handler = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Need:
    """One payload field that a handler names, with its annotation; not `required` where it has a default."""

    name: str
    annotation: Any
    required: bool


@dataclass(frozen=True, slots=True)
class HandlerContract:
    """The fields a handler needs, typed. Fields that it does not name are not its business."""

    needs: Mapping[str, Need]
    rest: bool
    meta: str | None
    adapter: TypeAdapter[dict[str, Any]]

    @classmethod
    def of(cls, handler: Handler, where: str) -> Self:
        """Read the signature of `handler`.

        Raises:
            EventError: it is not async, takes what no payload can give, or an annotation cannot be resolved.
        """
        target = handler if inspect.isroutine(handler) or inspect.isfunction(handler) else _called(handler)
        if not (inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(target)):
            raise EventError(Problem("the handler is not async", where, "write it as `async def`"))
        try:
            hints = get_type_hints(target, include_extras=True)
        except (NameError, TypeError, AttributeError) as error:
            raise EventError(
                Problem(f"an annotation cannot be read: {error}", where, "import its type at run time"),
            ) from error
        needs: dict[str, Need] = {}
        rest, meta = False, None
        for parameter in inspect.signature(handler).parameters.values():
            annotation = hints.get(parameter.name, Any)
            if parameter.kind is parameter.VAR_KEYWORD:
                rest = True
            elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
                raise EventError(
                    Problem(
                        f"parameter {parameter.name!r} is positional",
                        where,
                        "handlers are called with keywords: name the payload fields they need",
                    ),
                )
            elif annotation is EventMeta:
                meta = parameter.name
            else:
                needs[parameter.name] = Need(parameter.name, annotation, parameter.default is parameter.empty)
        return cls(needs=needs, rest=rest, meta=meta, adapter=_adapter(needs, where))

    def bind(self, envelope: Envelope, attempt: int) -> dict[str, Any]:
        """Return the keyword arguments for one call, each of the annotated type.

        Raises:
            EventError: the payload lacks a needed field or holds a value of another type; the text names the fields.
        """
        try:
            values: dict[str, Any] = self.adapter.validator.validate_python(envelope.data)
        except ValidationError as error:
            raise EventError(mismatches(error, f"payload of {envelope.event}")) from error
        if self.rest:
            values = {**envelope.data, **values}
        if self.meta is not None:
            values[self.meta] = envelope.meta(attempt)
        return values


def mismatches(error: ValidationError, where: str) -> list[Problem]:
    """Return one problem for each field that `error` names."""
    return [
        Problem(f"{'.'.join(str(part) for part in item['loc']) or 'payload'}: {item['msg']}", where)
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _called(handler: Handler) -> Any:
    inner = getattr(handler, "func", None)  # functools.partial
    return inner if inner is not None else type(handler).__call__


def _adapter(needs: Mapping[str, Need], where: str) -> TypeAdapter[dict[str, Any]]:
    try:
        try:
            return _known_adapter(tuple(needs.values()))
        except TypeError:  # an annotation that cannot be a key, such as Annotated[int, []]
            return _new_adapter(tuple(needs.values()))
    except PydanticUserError as error:
        raise EventError(Problem(f"an annotation cannot be used: {error.message}", where)) from error


def _new_adapter(needs: tuple[Need, ...]) -> TypeAdapter[dict[str, Any]]:
    fields = {need.name: need.annotation if need.required else NotRequired[need.annotation] for need in needs}
    shape = with_config({"arbitrary_types_allowed": True})(TypedDict("Payload", fields))  # type: ignore[operator]
    return TypeAdapter(shape)


_known_adapter = lru_cache(1024)(_new_adapter)
"""Half a millisecond each, and many handlers ask for the same."""
