"""RCY5: a module's routes lie where the guard sees them, let in who may, and bear what they are sent."""

from __future__ import annotations

from collections.abc import Iterator

from recyclic.testing.contract.case import Case
from recyclic.testing.contract.finding import Breach, Place
from recyclic.testing.contract.observed import Answer
from recyclic.testing.contract.rule import Evidence, rule
from recyclic.testing.contract.rules.code import told

_CLOSED = {401, 403, 404, 405}
_AWAY = {502, 503, 504}


def _place(case: Case, answer: Answer) -> Place:
    """Return where a route's function is defined."""
    for route in case.wiring.routes:
        if route.path.replace(":path}", "}") == answer.path and answer.method in route.methods:
            return route.place
    return Place()


@rule(
    "RCY501",
    "a route lies outside the module's prefix",
    why="The guard knows by /api/modules/<id>/ whose permission a request needs; elsewhere it would not ask.",
    remedy='Give the router prefix="/api/modules/<id>".',
    needs=Evidence.EXERCISE,
)
def routes_lie_inside(case: Case) -> Iterator[Breach]:
    """Yield routes that the host refuses."""
    routes = {route.path: route.place for route in case.wiring.routes}
    for refusal in case.life.refusals:
        if refusal.rule == "RCY501":
            place = next((place for path, place in routes.items() if path and path in refusal.what.split()), Place())
            yield Breach(refusal.what, place, refusal.remedy)


@rule(
    "RCY502",
    "a route can be reached without signing in",
    why="The shop's data is behind one door. A module that answers before the guard opens another.",
    remedy="Add routes in register_routes only, and leave the host's middleware alone.",
    needs=Evidence.EXERCISE,
)
def nobody_gets_in(case: Case) -> Iterator[Breach]:
    """Yield routes that answer somebody who has not signed in."""
    case.must_be_used()
    for answer in case.answers:
        if answer.who == "anonymous" and answer.status and answer.status not in _CLOSED:
            what = f"{answer.method} {answer.path} answers {answer.status} to somebody who has not signed in"
            yield Breach(what, _place(case, answer))


@rule(
    "RCY503",
    "a route can be reached with too little permission",
    why="The manifest promises the shop who may do what; reading needs `read` in its section, all else its level.",
    remedy="Leave the decision to the guard; if the level is wrong, correct [permissions] in module.toml.",
    needs=Evidence.EXERCISE,
)
def too_little_is_too_little(case: Case) -> Iterator[Breach]:
    """Yield routes that answer somebody whose level does not suffice."""
    case.must_be_used()
    open_to_all = {
        (each.method, each.path) for each in case.answers if each.who == "anonymous" and each.status not in _CLOSED
    }
    for answer in case.answers:
        if answer.who != "too little" or not answer.status or answer.status in _CLOSED:
            continue
        if (answer.method, answer.path) not in open_to_all:
            what = f"{answer.method} {answer.path} answers {answer.status} to a user without the manifest's level"
            yield Breach(what, _place(case, answer))


@rule(
    "RCY504",
    "a route fails on input that its own documentation allows",
    why="A 500 tells the user nothing, and often leaves half of the work done.",
    remedy="Handle the case, or narrow the type of the parameter so that the host answers 422.",
    needs=Evidence.EXERCISE,
)
def routes_bear_their_input(case: Case) -> Iterator[Breach]:
    """Yield routes that answer 5xx; one that says 502 to 504 because the outside world is away is right."""
    case.must_be_used()
    told_already: set[tuple[str, str]] = set()
    for answer in case.answers:
        if answer.who != "enough" or answer.status < 500 or (answer.denied and answer.status in _AWAY):
            continue
        if (answer.method, answer.path) in told_already:
            continue
        told_already.add((answer.method, answer.path))
        reason = f": {told(answer.failure)}" if answer.failure else ""
        own = answer.failure.place if answer.failure and answer.failure.place.file else _place(case, answer)
        yield Breach(f"{answer.method} {answer.path} answers {answer.status}{reason}", own)


@rule(
    "RCY505",
    "a route does not answer",
    why="It holds a connection and whoever waits behind it.",
    remedy="Give every wait in it a limit, and answer 503 where the outside world takes too long.",
    needs=Evidence.EXERCISE,
)
def routes_answer(case: Case) -> Iterator[Breach]:
    """Yield routes that took longer than the limit."""
    case.must_be_used()
    for method, path in dict.fromkeys((each.method, each.path) for each in case.answers if not each.status):
        answer = next(each for each in case.answers if (each.method, each.path, each.status) == (method, path, 0))
        own = answer.failure.place if answer.failure and answer.failure.place.file else _place(case, answer)
        yield Breach(f"{method} {path} gave no answer within the limit", own)
