"""The administrators' routes of the bus: what waits for whom, and what is to become of dead letters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Self

import structlog
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from recyclic.core.events.dead_letters import DeadLetters, Decided, Which, described, is_letter_name
from recyclic.core.events.entries import DeadLetter
from recyclic.core.events.standing import StreamState
from recyclic.core.http import ApiError
from recyclic.core.permissions import CurrentUser, Level, Section, User
from recyclic.errors import BusError

router = APIRouter(prefix="/api/events", tags=["events"])
log = structlog.get_logger(__name__)


async def _reader(user: CurrentUser) -> None:
    user.require(Section.CONFIG, Level.READ)


async def _administrator(user: CurrentUser) -> User:
    user.require(Section.CONFIG, Level.ADMIN)
    return user


READING = [Depends(_reader)]
Administrator = Annotated[User, Depends(_administrator)]


class GroupOut(BaseModel):
    """What waits for one group; `unacked_from` is the oldest entry that it has not acked."""

    unread: int
    pending: int
    retrying: int
    dead: int
    consumers: int
    unacked_from: str | None


class ReplayOut(BaseModel):
    """A replay that has not ended; ids are entry ids."""

    position: str
    end: str
    sent: int


class StreamOut(BaseModel):
    """One event's stream; `copies` of its entries are for one group alone."""

    event: str
    entries: int
    copies: int
    over_limit: bool
    groups: dict[str, GroupOut]
    replays: dict[str, ReplayOut]


class Streams(BaseModel):
    """Every event's stream."""

    hard_limit: int
    streams: list[StreamOut]


class LetterOut(BaseModel):
    """A dead letter in a list; times are seconds since the epoch."""

    name: str
    event: str
    group: str
    id: str
    reason: str
    error: str
    attempts: int
    first_failed_at: float
    dead_at: float


class Letters(BaseModel):
    """A page of dead letters; `next` is the `after` of the following one, "" where none are left."""

    letters: list[LetterOut]
    next: str


class Filter(BaseModel):
    """Which dead letters; ages are seconds since death, `error` is a text within reason or error."""

    model_config = ConfigDict(extra="forbid")

    event: str | None = None
    group: str | None = None
    error: str | None = Field(None, min_length=1)
    older_than: float | None = Field(None, ge=0)
    younger_than: float | None = Field(None, ge=0)

    @property
    def which(self) -> Which:
        """Return the filter as the bus has it."""
        return Which(**{name: getattr(self, name) for name in Filter.model_fields})


class Asked(Filter):
    """A page of dead letters: `after` is what the page before gave as `next`."""

    after: str = ""
    limit: int = Field(50, ge=1, le=200)


class Chosen(Filter):
    """Which dead letters to do something to: those named, those that the filter takes, or `all`."""

    names: list[str] | None = Field(None, min_length=1, max_length=1000)
    all: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        filtered = any(getattr(self, name) is not None for name in Filter.model_fields)
        if sum((self.names is not None, filtered, self.all)) != 1:
            raise ValueError("say which: names, or a filter, or all")
        return self


class Done(BaseModel):
    """How many dead letters something was done to, and what was in the way of others."""

    done: int
    problems: list[str] = []


@router.get("", dependencies=READING)
async def streams(request: Request) -> Streams:
    """List every event's stream with its groups."""
    async with _speaking():
        found = await request.app.state.streams.events()
    limit = request.app.state.broker.settings.hard_limit
    return Streams(hard_limit=limit, streams=[_stream(state, limit) for state in found])


@router.get("/streams/{event}", dependencies=READING)
async def stream(event: str, request: Request) -> StreamOut:
    """Show one event's stream with its groups."""
    async with _speaking():
        found = [state for state in await request.app.state.streams.events(event) if state.event == event]
    if not found:
        raise ApiError(404, "not_found", "There is no such event.")
    return _stream(found[0], request.app.state.broker.settings.hard_limit)


@router.get("/dead", dependencies=READING)
async def dead_letters(request: Request, asked: Annotated[Asked, Query()]) -> Letters:
    """List dead letters, the oldest of each group first, a page at a time. A filter can make a page short."""
    if asked.after and not is_letter_name(asked.after):
        raise ApiError(422, "invalid_input", "The input does not fit.", [("after", "this names no dead letter")])
    async with _speaking():
        found, following = await _box(request).page(asked.which, after=asked.after, limit=asked.limit)
    return Letters(letters=[_letter(letter) for letter in found], next=following)


@router.post("/dead/requeue")
async def requeue(chosen: Chosen, request: Request, user: Administrator) -> Done:
    """Give dead letters back to their groups, due now, with no attempt counted."""
    box = _box(request)
    async with _speaking():
        decided = (
            await _each(box, chosen.names, requeueing=True) if chosen.names else await box.requeue_all(chosen.which)
        )
    return _told(request, user, "requeued", decided)


@router.post("/dead/drop")
async def drop(chosen: Chosen, request: Request, user: Administrator) -> Done:
    """Delete dead letters for good."""
    box = _box(request)
    async with _speaking():
        decided = await _each(box, chosen.names, requeueing=False) if chosen.names else await box.drop_all(chosen.which)
    return _told(request, user, "dropped", decided)


@router.get("/dead/{event}/{group}/{letter_id}", dependencies=READING)
async def dead_letter(event: str, group: str, letter_id: str, request: Request) -> dict[str, Any]:
    """Show one dead letter whole: payload, envelope, error, traceback, attempts and times."""
    return described(await _one(request, event, group, letter_id))


@router.post("/dead/{event}/{group}/{letter_id}/requeue")
async def requeue_one(event: str, group: str, letter_id: str, request: Request, user: Administrator) -> Done:
    """Give one dead letter back to its group; 404 where another was quicker."""
    letter = await _one(request, event, group, letter_id)
    async with _speaking(conflict="nothing_left"):
        done = await _box(request).requeue(letter)
    if not done:
        raise _missing()
    return _told(request, user, "requeued", Decided(1))


@router.delete("/dead/{event}/{group}/{letter_id}", status_code=204)
async def drop_one(event: str, group: str, letter_id: str, request: Request, user: Administrator) -> None:
    """Delete one dead letter for good."""
    letter = await _one(request, event, group, letter_id)
    async with _speaking():
        done = await _box(request).drop(letter)
    if not done:
        raise _missing()
    _told(request, user, "dropped", Decided(1))


def _box(request: Request) -> DeadLetters:
    box: DeadLetters = request.app.state.broker.dead_letters
    return box


async def _one(request: Request, event: str, group: str, letter_id: str) -> DeadLetter:
    async with _speaking():
        letter = await _box(request).get(event, group, letter_id)
    if letter is None:
        raise _missing()
    return letter


async def _each(box: DeadLetters, names: list[str], *, requeueing: bool) -> Decided:
    """Do it to every letter named, or to none where one of them does not exist."""
    letters, unknown = [], []
    for name in dict.fromkeys(names):
        letter = await box.get(*name.split("/")) if is_letter_name(name) else None
        if letter is None:
            unknown.append(name)
        else:
            letters.append(letter)
    if unknown:
        raise ApiError(404, "not_found", "There is no such dead letter.", details={"unknown": unknown})
    return await (box.requeue_each(letters) if requeueing else box.drop_each(letters))


def _told(request: Request, user: User, what: str, decided: Decided) -> Done:
    log.info("dead letters were decided about", what=what, by=user.name, count=decided.done)
    request.app.state.broker.wake()
    return Done(done=decided.done, problems=[str(problem) for problem in decided.problems])


def _stream(state: StreamState, limit: int) -> StreamOut:
    groups = {
        name: GroupOut(
            unread=backlog.unread,
            pending=backlog.pending,
            retrying=backlog.retrying,
            dead=backlog.dead,
            consumers=backlog.consumers,
            unacked_from=backlog.oldest_unacked,
        )
        for name, backlog in state.groups.items()
    }
    replays = {
        name: ReplayOut(position=replay.position, end=replay.end, sent=replay.sent)
        for name, replay in state.replays.items()
    }
    return StreamOut(
        event=state.event,
        entries=state.length,
        copies=state.copies,
        over_limit=state.length > limit,
        groups=groups,
        replays=replays,
    )


def _letter(letter: DeadLetter) -> LetterOut:
    return LetterOut(**{name: getattr(letter, name) for name in LetterOut.model_fields})


def _missing() -> ApiError:
    return ApiError(404, "not_found", "There is no such dead letter.")


@asynccontextmanager
async def _speaking(*, conflict: str = "") -> AsyncIterator[None]:
    """Answer 503 while Redis is away; 409 with the code `conflict` where the dead letter itself is in the way."""
    try:
        yield
    except BusError as error:
        if error.__cause__ is None and conflict:
            raise ApiError(409, conflict, str(error)) from error
        raise ApiError(503, "unavailable", "The bus cannot be reached; its events wait.") from error
