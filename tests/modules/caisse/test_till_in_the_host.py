"""The till in its host: behind the door, with the outbox between its close and Redis."""

from __future__ import annotations

import pytest

from recyclic.testing import faults

API = "/api/modules/caisse"
pytestmark = pytest.mark.modules("caisse")


async def open_session(http, name="Caisse 1"):
    register = (await http.post(f"{API}/registers", json={"name": name})).json()
    body = {"register_id": register["id"], "opening_float_cents": 0}
    return (await http.post(f"{API}/sessions", json=body)).json()


async def close(http, session, counted=0):
    return await http.post(f"{API}/sessions/{session['id']}/close", json={"counted_cash_cents": counted})


async def test_the_close_publishes_the_session_through_the_outbox(module_host):
    session = await open_session(module_host.http)
    async with module_host.act("close the till") as trace:
        answer = await close(module_host.http, session)
    assert answer.status_code == 200
    trace.emitted("sale_closed", session_id=session["id"], deferred=False, total_cents=0).once()
    trace.nothing_else()


async def test_the_close_answers_at_once_while_redis_is_away_and_the_event_follows(module_host):
    session = await open_session(module_host.http)
    async with module_host.act("close the till") as trace:
        async with module_host.faults(faults.redis_down()):
            answer = await close(module_host.http, session)
        assert (answer.status_code, answer.json()["status"]) == (200, "closed")
    trace.emitted("sale_closed", session_id=session["id"]).once()


async def test_a_close_that_is_refused_publishes_nothing(module_host):
    session = await open_session(module_host.http)
    async with module_host.act("miscount") as trace:
        answer = await close(module_host.http, session, counted=500)
    assert answer.json()["error"]["code"] == "variance_comment_required"
    trace.never("sale_closed")


async def test_a_notebook_publishes_one_event_a_day(module_host, notebook):
    async with module_host.act("import and close the notebook") as trace:
        report = (await module_host.http.post(f"{API}/import?filename=cahier.csv", content=notebook)).json()
        await module_host.http.post(f"{API}/imports/{report['id']}/close")
    for day, sales, donations in (
        ("2025-09-17", 1800, 0),
        ("2025-09-18", 1500, 0),
        ("2025-09-19", 0, 200),
        ("2025-09-20", 1900, 0),
        ("2025-09-26", 20370, 2000),
    ):
        found = trace.emitted("sale_closed", business_date=day, sales_cents=sales, donations_cents=donations)
        found.once()
    trace.nothing_else()


@pytest.mark.parametrize(
    ("permissions", "get", "post"),
    [({"caisse": "write"}, 200, 201), ({"caisse": "read"}, 200, 403), ({"accounting": "admin"}, 403, 403)],
)
async def test_the_manifest_guards_the_till(module_host, permissions, get, post):
    http = module_host.as_user(**permissions)
    assert (await http.get(f"{API}/registers")).status_code == get
    assert (await http.post(f"{API}/registers", json={"name": "Caisse 1"})).status_code == post


async def test_nobody_sells_without_signing_in(module_host):
    answer = await module_host.anonymous.post(f"{API}/registers", json={"name": "Caisse 1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "not_signed_in")


async def test_tickets_bear_the_name_of_who_sold_them(module_host):
    session = await open_session(module_host.http)
    body = {"donation_cents": 100, "payments": [{"method": "cash", "amount_cents": 100}]}
    seller = module_host.as_user(caisse="write")
    ticket = (await seller.post(f"{API}/sessions/{session['id']}/tickets", json=body)).json()
    assert ticket["operator"]
    assert ticket["operator"] != session["operator"]


async def test_an_open_session_outlives_a_killed_worker(module_host):
    session = await open_session(module_host.http)
    await module_host.crash_worker()
    assert (await close(module_host.http, session)).status_code == 200


@pytest.mark.settings(caisse={"variance_threshold_cents": 500})
@pytest.mark.parametrize(("counted", "status"), [(500, 200), (501, 422)])
async def test_a_shop_sets_its_own_threshold(module_host, counted, status):
    session = await open_session(module_host.http)
    assert (await close(module_host.http, session, counted)).status_code == status
