"""The administrators' routes of the bus: who may look, who may act, and what each answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from recyclic import Event
from recyclic.core.events.dead_letters import Which
from recyclic.core.events.settings import BrokerSettings
from tests.unit.host.conftest import Quiet
from tests.unit.host.test_guard import code_of


class SaleClosed(Event):
    """A till was closed."""

    session_id: str


class Till(Quiet):
    """Emits sales."""

    emits = (SaleClosed,)

    def register_signals(self, bus: Any) -> None:
        Till.bus = bus


class Accounts(Quiet):
    """Fails for what it does not know, as long as it is told to."""

    failing = True
    handled: list[str]

    def register_signals(self, bus: Any) -> None:
        Accounts.failing, Accounts.handled = True, []
        bus.on("sale_closed", self.book)

    async def book(self, session_id: str) -> None:
        if Accounts.failing and session_id != "good":
            raise ValueError(f"no account for {session_id}")
        Accounts.handled.append(session_id)


@pytest.fixture
def shop(run_host):
    """`async with shop() as host`: two dead letters of three sales."""

    @asynccontextmanager
    async def run() -> AsyncIterator[Any]:
        settings = BrokerSettings(max_attempts=1, backoff=0.0, jitter=False)
        async with run_host(("till", Till), ("accounts", Accounts), broker_settings=settings) as host:
            for session in ("good", "bad", "é"):
                await Till.bus.emit("sale_closed", session_id=session)
            await becomes(lambda: settled(host))
            yield host

    return run


async def settled(host) -> bool:
    return (await host.app.state.broker.snapshot()).settled


async def becomes(ask) -> None:
    async with asyncio.timeout(20):
        while not await ask():  # noqa: ASYNC110 - the end is a state of Redis
            await asyncio.sleep(0)


async def letters(host) -> list:
    return [letter async for letter in host.app.state.broker.dead_letters.all()]


LOOK = [
    ("GET", "/api/events"),
    ("GET", "/api/events/streams/sale_closed"),
    ("GET", "/api/events/dead"),
    ("GET", "/api/events/dead/sale_closed/accounts/{id}"),
]
ACT = [
    ("POST", "/api/events/dead/sale_closed/accounts/{id}/requeue"),
    ("DELETE", "/api/events/dead/sale_closed/accounts/{id}"),
    ("POST", "/api/events/dead/requeue"),
    ("POST", "/api/events/dead/drop"),
]


async def test_every_route_of_the_bus_is_in_these_tests(shop):
    async with shop() as host:
        paths = host.app.openapi()["paths"]
    found = {(method.upper(), path) for path, item in paths.items() for method in item if "/api/events" in path}
    one = "dead/sale_closed/accounts/{id}"
    paths = [(method, path.replace(one, "dead/{event}/{group}/{letter_id}")) for method, path in (*LOOK, *ACT)]
    tested = {(method, path.replace("sale_closed", "{event}")) for method, path in paths}
    assert found == tested


async def test_without_a_user_every_route_is_401_and_nothing_happens(shop):
    async with shop() as host:
        first, _ = await letters(host)
        for method, path in (*LOOK, *ACT):
            response = await host.http.request(method, path.format(id=first.id), json={"all": True})
            assert (response.status_code, code_of(response)) == (401, "not_signed_in"), path
        assert len(await letters(host)) == 2


async def test_looking_needs_read_in_config(shop):
    async with shop() as host:
        first, _ = await letters(host)
        for method, path in LOOK:
            client = await host.sign_in(users="admin", caisse="admin")
            response = await client.request(method, path.format(id=first.id))
            assert (response.status_code, code_of(response)) == (403, "not_allowed"), path
            client = await host.sign_in(config="read")
            assert (await client.request(method, path.format(id=first.id))).status_code == 200, path


async def test_acting_needs_admin_in_config(shop):
    async with shop() as host:
        letter = (await letters(host))[0]
        for method, path in ACT:
            for permissions in ({"users": "admin"}, {"config": "read"}, {"config": "write"}):
                client = await host.sign_in(**permissions)
                response = await client.request(method, path.format(id=letter.id), json={"all": True})
                assert (response.status_code, code_of(response)) == (403, "not_allowed"), (path, permissions)
            assert len(await letters(host)) == 2
        client = await host.sign_in(config="admin")
        assert (await client.post("/api/events/dead/drop", json={"all": True})).json()["done"] == 2


async def test_another_site_cannot_act(shop):
    async with shop() as host:
        client = await host.sign_in()
        response = await client.post(
            "/api/events/dead/drop", json={"all": True}, headers={"Origin": "https://evil.test"}
        )
        assert (response.status_code, code_of(response)) == (403, "cross_origin")
        assert len(await letters(host)) == 2


async def test_what_does_not_exist_is_404(shop):
    unknown = ("1-1", "nonsense", "-", "99999999999999999999-1")
    missing = [
        ("GET", "/api/events/streams/never_happened"),
        ("GET", "/api/events/streams/*"),
        ("GET", "/api/events/dead/sale_closed/nobody/1-1"),
        ("GET", "/api/events/nothing"),
        *((method, path.format(id=letter_id)) for method, path in (LOOK[3], *ACT[:2]) for letter_id in unknown),
    ]
    async with shop() as host:
        client = await host.sign_in()
        for method, path in missing:
            response = await client.request(method, path)
            assert (response.status_code, code_of(response)) == (404, "not_found"), path
            assert response.json()["error"]["request_id"]


async def test_streams_tell_what_waits_for_whom(shop):
    async with shop() as host:
        client = await host.sign_in(config="read")
        answer = (await client.get("/api/events")).json()
        expected = {
            "event": "sale_closed",
            "entries": 3,
            "copies": 0,
            "over_limit": False,
            "groups": {
                "accounts": {
                    "unread": 0,
                    "pending": 0,
                    "retrying": 0,
                    "dead": 2,
                    "consumers": 1,
                    "unacked_from": None,
                }
            },
            "replays": {},
        }
        assert answer == {"hard_limit": 100_000, "streams": [expected]}
        assert (await client.get("/api/events/streams/sale_closed")).json() == expected
        await host.app.state.streams.begin_replay(("sale_closed", "accounts"), "0-0", "+", {})
        [replay] = (await client.get("/api/events/streams/sale_closed")).json()["replays"].items()
        assert (replay[0], replay[1]["position"], replay[1]["sent"]) == ("accounts", "0-0", 0)


async def test_dead_letters_come_in_pages_and_by_filter(shop):
    async with shop() as host:
        client = await host.sign_in(config="read")
        page = (await client.get("/api/events/dead?limit=1")).json()
        [first] = page["letters"]
        assert (first["error"], first["attempts"]) == ("ValueError: no account for bad", 1)
        assert page["next"] == first["name"]
        rest = (await client.get("/api/events/dead", params={"after": page["next"], "limit": 1})).json()
        assert ([letter["error"] for letter in rest["letters"]], rest["next"]) == (["ValueError: no account for é"], "")
        for query, count in (
            ("error=FOR BAD", 1),
            ("event=sale_closed", 2),
            ("event=sale_*", 0),
            ("group=nobody", 0),
            ("older_than=3600", 0),
            ("younger_than=3600", 2),
        ):
            name, _, value = query.partition("=")
            found = (await client.get("/api/events/dead", params={name: value})).json()["letters"]
            assert len(found) == count, query


async def test_queries_that_do_not_fit_are_422_and_name_the_field(shop):
    async with shop() as host:
        client = await host.sign_in(config="read")
        for query in ("limit=0", "limit=201", "after=nonsense", "after=a/b/c", "older_than=-1", "evnt=x"):
            response = await client.get(f"/api/events/dead?{query}")
            assert (response.status_code, code_of(response)) == (422, "invalid_input"), query
            assert response.json()["error"]["fields"][0]["path"] == query.partition("=")[0]


async def test_one_letter_is_shown_whole(shop):
    async with shop() as host:
        client = await host.sign_in(config="read")
        letter = (await letters(host))[1]
        whole = (await client.get(f"/api/events/dead/sale_closed/accounts/{letter.id}")).json()
        assert (whole["name"], whole["data"]) == (letter.name, {"session_id": "é"})
        assert (whole["envelope"]["source"], whole["attempts"]) == ("till", 1)
        assert "in book" in whole["traceback"]


async def test_requeued_letters_are_handled_and_dropped_ones_are_gone(shop):
    async with shop() as host:
        client = await host.sign_in(config="admin")
        Accounts.failing = False
        bad, other = await letters(host)
        response = await client.post(f"/api/events/dead/sale_closed/accounts/{bad.id}/requeue")
        assert response.json() == {"done": 1, "problems": []}
        await becomes(lambda: settled(host))
        assert Accounts.handled == ["good", "bad"]
        path = f"/api/events/dead/sale_closed/accounts/{other.id}"
        assert (await client.delete(path)).status_code == 204
        assert (await client.delete(path)).status_code == 404
        assert await letters(host) == []


@pytest.mark.parametrize("action", ["requeue", "drop"])
async def test_many_are_decided_about_by_name_by_filter_or_all(shop, action):
    async with shop() as host:
        client = await host.sign_in(config="admin")
        path = f"/api/events/dead/{action}"
        Accounts.failing = False
        bad, other = await letters(host)
        response = await client.post(path, json={"names": [bad.name, "sale_closed/accounts/1-1", "x"]})
        assert (response.status_code, code_of(response)) == (404, "not_found")
        assert response.json()["error"]["details"] == {"unknown": ["sale_closed/accounts/1-1", "x"]}
        assert len(await letters(host)) == 2
        assert (await client.post(path, json={"error": "for bad"})).json() == {"done": 1, "problems": []}
        assert [letter.name for letter in await letters(host)] == [other.name]
        named = {"names": [other.name, other.name]}
        assert (await client.post(path, json=named)).json() == {"done": 1, "problems": []}
        assert (await client.post(path, json={"all": True})).json() == {"done": 0, "problems": []}
        await becomes(lambda: settled(host))
        assert Accounts.handled == (["good", "bad", "é"] if action == "requeue" else ["good"])


async def test_a_choice_that_could_mean_anything_is_422_and_does_nothing(shop):
    bodies = [
        {},
        {"all": False},
        {"all": True, "event": "sale_closed"},
        {"names": ["a/b/1-1"], "all": True},
        {"names": []},
        {"error": ""},
        {"evnt": "sale_closed"},
        {"older_than": -1},
    ]
    async with shop() as host:
        client = await host.sign_in(config="admin")
        for body in bodies:
            for action in ("requeue", "drop"):
                response = await client.post(f"/api/events/dead/{action}", json=body)
                assert (response.status_code, code_of(response)) == (422, "invalid_input"), body
        assert len(await letters(host)) == 2


async def test_letter_of_which_nothing_is_left_is_409_or_a_problem_among_many(shop):
    async with shop() as host:
        client = await host.sign_in(config="admin")
        await host.app.state.broker.dead_letters.drop_all(Which())
        key, words = "dead:{events:sale_closed}:accounts", ("entry", "1-1", "reason", "gone", "attempts", "0")
        await host.app.state.streams.client.execute_command("XADD", key, "*", *words)
        [letter] = await letters(host)
        response = await client.post(f"/api/events/dead/sale_closed/accounts/{letter.id}/requeue")
        assert (response.status_code, code_of(response)) == (409, "nothing_left")
        answer = (await client.post("/api/events/dead/requeue", json={"all": True})).json()
        assert answer["done"] == 0
        assert "nothing is left" in answer["problems"][0]


async def test_without_redis_every_route_is_503(shop, monkeypatch):
    async with shop() as host:
        client = await host.sign_in()
        first, _ = await letters(host)

        async def away(*arguments, **options):
            raise RedisConnectionError("away")

        for method, path in (*LOOK, *ACT):
            with monkeypatch.context() as patch:
                patch.setattr(host.app.state.streams._wire, "run", away)
                body = {} if method == "GET" else {"json": {"all": True}}
                response = await client.request(method, path.format(id=first.id), **body)
            assert (response.status_code, code_of(response)) == (503, "unavailable"), path
        assert len(await letters(host)) == 2
