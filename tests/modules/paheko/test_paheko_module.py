"""paheko in a host: its events, its routes, its door, its tables."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from recyclic.core.migration import locations
from recyclic.modules.paheko.double import PahekoServer, outside_world
from recyclic.modules.paheko.settings import PahekoSettings
from recyclic.modules.paheko.testing import settings_for
from recyclic.testing import boot_modules

UNKNOWN = {
    "session_id": "s1",
    "reference": "RECYCLIC-session-s1",
    "state": "unknown",
    "transaction_id": None,
    "url": None,
    "amount_cents": None,
    "attempts": 0,
    "last_error": None,
    "updated_at": None,
}


pytestmark = pytest.mark.modules("paheko")


@pytest.fixture
def host(module_host, server):
    """A host with this module, which writes to `server`."""
    return module_host


@pytest.fixture
def close_till(sale_closed):
    async def close(host, session_id="s1", **figures):
        payload = sale_closed(session_id, **figures)
        payload.update(
            register_id="r1",
            opened_at="2025-09-26T08:00:00Z",
            closed_at="2025-09-26T17:00:00Z",
            total_cents=payload["sales_cents"] + payload["donations_cents"],
            theoretical_cash_cents=5000 + payload["payments"]["cash"],
        )
        await host.bus.emit("sale_closed", **payload)

    return close


async def get(host, path):
    response = await host.http.get(f"/api/modules/paheko/{path}")
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_close_becomes_an_entry_and_an_event(host, server, close_till):
    async with host.act("close the till") as trace:
        await close_till(host, cash=20370, donations=2000, variance=-140)
    closed = trace.emitted("sale_closed", session_id="s1").once()
    trace.consumed("sale_closed", by="paheko").ok(attempts=1)
    [entry] = server.entries()
    trace.emitted(
        "entry_written",
        session_id="s1",
        reference="RECYCLIC-session-s1",
        transaction_id=entry.id,
        amount_cents=20370,
    ).once().caused_by(closed)
    trace.nothing_else()
    assert (entry.debits, entry.credits) == ({"530": 20230, "658": 140}, {"7073": 18370, "7541": 2000})


async def test_failing_twice_and_a_lost_reply_still_book_once(host, server, close_till):
    server.fail_next(2, status=500)
    server.lose_next_reply()
    async with host.act("close the till", expect_errors=True) as trace:
        await close_till(host, cash=100)
    trace.consumed("sale_closed", by="paheko").ok(attempts=4)
    trace.emitted("entry_written").once()
    assert len(server.entries()) == 1


async def test_the_state_of_a_session_is_told(host, server, close_till):
    assert await get(host, "sessions/s1") == UNKNOWN
    async with host.act():
        await close_till(host, cash=100)
    [entry] = server.entries()
    found = await get(host, "sessions/s1")
    assert found.pop("updated_at").endswith("Z")
    assert found == {
        **{key: value for key, value in UNKNOWN.items() if key != "updated_at"},
        "state": "written",
        "transaction_id": entry.id,
        "url": f"{server.url}/admin/acc/transactions/details.php?id={entry.id}",
        "amount_cents": 100,
        "attempts": 1,
    }


async def test_a_session_set_aside_is_sent_by_the_button(host, server, close_till):
    server.set_year(2025, "locked")
    async with host.act() as trace:
        await close_till(host, cash=100)
    trace.never("entry_written")
    found = await get(host, "sessions/s1")
    assert (found["state"], found["last_error"]) == ("quarantined", 'Cannot find a valid open year matching "match"')
    server.set_year(2025, "open")
    async with host.act("press the button") as trace:
        response = await host.http.post("/api/modules/paheko/sessions/s1/sync")
    assert (response.status_code, response.json()["state"]) == (202, "quarantined")
    trace.order("sync_requested", "entry_written")
    assert (await get(host, "sessions/s1"))["state"] == "written"
    assert len(server.entries()) == 1


async def test_the_button_on_an_unknown_session_is_harmless(host, server):
    async with host.act() as trace:
        response = await host.http.post("/api/modules/paheko/sessions/s1/sync")
    assert (response.status_code, response.json()) == (202, UNKNOWN)
    trace.emitted("sync_requested", session_id="s1").once()
    trace.consumed("sync_requested", by="paheko").ok()
    trace.nothing_else()
    assert server.requests == []


async def test_entries_are_listed_by_state_the_latest_first(host, server, close_till):
    async with host.act():
        await close_till(host, "s1", cash=100)
    host.clock.advance(60)
    async with host.act():
        await close_till(host, "s2", cash=100, sales_cents=99)
    assert [row["session_id"] for row in await get(host, "entries")] == ["s2", "s1"]
    assert [row["session_id"] for row in await get(host, "entries?state=written")] == ["s1"]
    assert [row["session_id"] for row in await get(host, "entries?limit=1")] == ["s2"]
    response = await host.http.get("/api/modules/paheko/entries?state=nonsense")
    assert (response.status_code, response.json()["error"]["code"]) == (422, "invalid_input")


async def test_without_a_url_it_says_so_and_a_restart_with_one_sends_what_waits(server, close_till):
    async with boot_modules("paheko", serve_ui=False) as host:
        async with host.act() as trace:
            await close_till(host, cash=100)
        trace.never("entry_written")
        status = await get(host, "status")
        assert (status["configured"], status["url"]) == (False, None)
        assert status["entries"] == {"waiting": 1, "writing": 0, "written": 0, "quarantined": 0}
        assert status["waiting_since"].endswith("Z")
        host.config.module_settings["paheko"] = settings_for(server)
        async with host.act("restart with a url") as trace:
            await host.restart("paheko")
        trace.order("sync_requested", "entry_written")
        status = await get(host, "status")
        assert (status["configured"], status["url"], status["waiting_since"]) == (True, server.url, None)
        assert status["entries"]["written"] == len(server.entries()) == 1


async def remind(host):
    """Let the reminder's time come, and wait until it has asked."""
    reminder = host.module("paheko").reminder
    asked, ask = asyncio.Event(), reminder.ask

    async def ask_and_tell(**options):
        await ask(**options)
        asked.set()

    reminder.ask = ask_and_tell
    host.clock.advance(301)
    await asked.wait()
    reminder.ask = ask


@pytest.mark.slow  # hours of the kit's clock
async def test_an_outage_of_hours_needs_nobody_and_no_dead_letter(host, server, close_till):
    server.refuse_connections()
    async with host.act("close the till", expect_errors=True) as trace:
        await close_till(host, cash=100)
    trace.consumed("sale_closed", by="paheko").ok(attempts=5)
    trace.never("entry_written")
    assert (await get(host, "sessions/s1"))["state"] == "waiting"
    async with host.act("five minutes later", expect_errors=True) as trace:
        await remind(host)
    trace.emitted("sync_requested", session_id="s1").once()
    server.accept_connections()
    async with host.act("and five more") as trace:
        await remind(host)
    trace.order("sync_requested", "entry_written")
    assert len(server.entries()) == 1
    async with host.act("and then it is done") as trace:
        await remind(host)
    trace.nothing_else()


async def test_a_killed_worker_books_once(host, server, close_till):
    real = host.module("paheko").client.book

    async def die_after(entry):
        number = await real(entry)
        host.die_and_restart()
        return number

    host.module("paheko").client.book = die_after
    async with host.act(expect_errors=True) as trace:
        await close_till(host, cash=100)
    trace.emitted("entry_written").once()
    assert len(server.entries()) == 1


async def test_a_new_member_reaches_paheko(server):
    async with boot_modules("members", "paheko", settings=server.module_settings, serve_ui=False) as host:
        async with host.act() as trace:
            response = await host.http.post(
                "/api/modules/members/members", json={"first_name": "Ada", "last_name": "D"}
            )
        assert response.status_code == 201
        trace.consumed("member_created", by="paheko").ok()
        assert [user["nom"] for user in server.users] == ["D Ada"]
        assert (await get(host, "status"))["members"]["written"] == 1


@pytest.mark.parametrize(
    ("levels", "read", "write"),
    [
        ({}, 403, 403),
        ({"caisse": "admin"}, 403, 403),
        ({"accounting": "read"}, 200, 403),
        ({"accounting": "write"}, 200, 202),
    ],
)
async def test_the_door_asks_for_accounting(host, levels, read, write):
    user = host.as_user(**levels)
    assert (await user.get("/api/modules/paheko/status")).status_code == read
    async with host.act():
        response = await user.post("/api/modules/paheko/sessions/s1/sync")
    assert response.status_code == write
    assert (await host.anonymous.get("/api/modules/paheko/status")).status_code == 401


async def test_the_password_is_nowhere_to_be_read(host, server, close_till):
    async with host.act():
        await close_till(host, cash=100)
    for path in ("status", "entries", "sessions/s1"):
        assert server.password not in (await host.http.get(f"/api/modules/paheko/{path}")).text


async def test_the_migrations_lead_to_the_models(host):
    registry = host.app.state.registry
    own = [history for history in locations(registry) if history.id == "paheko"]
    assert await host.app.state.database.check(own) == []


async def test_the_stand_in_for_demonstrations_is_the_same_server():
    async with outside_world() as settings:
        assert settings.keys() == {"url", "user", "password"}
        assert settings["user"] == PahekoServer.user


@pytest.mark.parametrize("name", PahekoSettings.model_fields)
def test_every_setting_is_documented(name):
    document = Path(__file__).parents[3] / "docs" / "modules" / "paheko.md"
    assert f"`{name}`" in document.read_text(encoding="utf-8")
