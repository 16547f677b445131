"""A register is opened once, closed with a count, and never changed after that."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime

import pytest


async def test_a_register_shows_the_session_it_is_open_in(shop):
    session = await shop.open("Caisse 1", 5000)
    await shop.post("/registers", {"name": "Caisse 2"})
    registers = await shop.get("/registers")
    opened = {"id": session["id"], "operator": "Camille", "opened_at": "2025-10-06T09:00:00Z"}
    assert [(register["name"], register["open_session"]) for register in registers] == [
        ("Caisse 1", opened),
        ("Caisse 2", None),
    ]


@pytest.mark.parametrize("name", ["Caisse 1", "caisse 1", "  CAISSE  1 "])
async def test_two_registers_of_one_name_are_refused(any_shop, name):
    await any_shop.post("/registers", {"name": "Caisse 1"})
    assert (await any_shop.refused("/registers", {"name": name}))[:2] == (409, "register_exists")


async def test_an_open_register_cannot_be_opened_again(shop):
    session = await shop.open()
    body = {"register_id": session["register"]["id"], "opening_float_cents": 0}
    status, code, error = await shop.refused("/sessions", body)
    assert (status, code) == (409, "session_already_open")
    assert error["details"] == {"session_id": session["id"]}


async def test_of_twenty_requests_at_once_one_opens_the_register(any_shop):
    register = await any_shop.post("/registers", {"name": "Caisse 1"})
    body = {"register_id": register["id"], "opening_float_cents": 0}
    answers = await asyncio.gather(*(any_shop.http.post("/api/modules/caisse/sessions", json=body) for _ in range(20)))
    opened = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    refused = [answer.json()["error"] for answer in answers if answer.status_code == 409]
    assert len(opened) == 1
    assert len(refused) == 19
    assert {error["details"]["session_id"] for error in refused} == set(opened)


async def test_the_database_itself_holds_one_open_session_per_register(shop):
    session = await shop.open()
    async with shop.database.engine.begin() as connection:
        with pytest.raises(Exception, match=r"UNIQUE constraint failed: caisse_session\.register_id"):
            await connection.exec_driver_sql(
                "INSERT INTO caisse_session SELECT 'another', register_id, import_id, operator, status, deferred, "
                "business_date, opened_at, closed_at, opening_float_cents, ticket_count, sales_cents, donations_cents, "
                "cash_cents, card_cents, check_cents, counted_cash_cents, variance_comment FROM caisse_session "
                f"WHERE id = '{session['id']}'"
            )


async def test_two_registers_are_open_at_once(shop):
    first, second = await shop.open("Caisse 1"), await shop.open("Caisse 2")
    assert first["register"]["id"] != second["register"]["id"]


async def test_an_unknown_register_cannot_be_opened(shop):
    body = {"register_id": "none", "opening_float_cents": 0}
    assert (await shop.refused("/sessions", body))[:2] == (404, "register_unknown")


@pytest.mark.parametrize("amount", [-1, 1_000_001, 10.5, "500", True, None])
async def test_a_float_out_of_bounds_is_refused(shop, amount):
    register = await shop.post("/registers", {"name": "Caisse 1"})
    body = {"register_id": register["id"], "opening_float_cents": amount}
    status, code, error = await shop.refused("/sessions", body)
    assert (status, code) == (422, "invalid_input")
    assert [field["path"] for field in error["fields"]] == ["opening_float_cents"]


@pytest.mark.parametrize("amount", [0, 1_000_000])
async def test_a_float_at_its_bounds_is_accepted(shop, amount):
    assert (await shop.open(opening_float_cents=amount))["theoretical_cash_cents"] == amount


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2025, 7, 14, 21, 59, tzinfo=UTC), date(2025, 7, 14)),
        (datetime(2025, 7, 14, 22, 0, tzinfo=UTC), date(2025, 7, 15)),
        (datetime(2025, 12, 31, 22, 59, tzinfo=UTC), date(2025, 12, 31)),
        (datetime(2025, 12, 31, 23, 0, tzinfo=UTC), date(2026, 1, 1)),
    ],
)
async def test_the_business_date_is_the_day_in_paris(shop, moment, day):
    shop.clock.moment = moment
    assert (await shop.open())["business_date"] == day.isoformat()


async def test_only_cash_enters_the_drawer(shop):
    session = await shop.open(opening_float_cents=5000)
    await shop.sell(session, 1000, "cash")
    await shop.sell(session, 2000, "card")
    await shop.sell(session, 4000, "check")
    found = await shop.get(f"/sessions/{session['id']}")
    assert found["theoretical_cash_cents"] == 6000
    assert found["payments"] == {"cash": 1000, "card": 2000, "check": 4000}
    assert (found["ticket_count"], found["sales_cents"], found["total_cents"]) == (3, 7000, 7000)


async def test_a_donation_counts_with_the_means_it_was_paid_by(shop):
    session = await shop.open()
    paid = [{"method": "cash", "amount_cents": 1000}, {"method": "card", "amount_cents": 300}]
    ticket = await shop.sell(session, 1000, donation_cents=300, payments=paid)
    assert (ticket["kind"], ticket["sales_cents"], ticket["donation_cents"], ticket["total_cents"]) == (
        "sale", 1000, 300, 1300,
    )  # fmt: skip
    found = await shop.get(f"/sessions/{session['id']}")
    assert (found["sales_cents"], found["donations_cents"], found["total_cents"]) == (1000, 300, 1300)
    assert (found["payments"]["cash"], found["payments"]["card"], found["theoretical_cash_cents"]) == (1000, 300, 1000)


async def test_closing_publishes_the_session_to_the_cent(shop):
    session = await shop.open(opening_float_cents=5000)
    await shop.sell(session, 1050)
    await shop.sell(session, 250, "check", donation_cents=50, payments=[{"method": "check", "amount_cents": 300}])
    shop.clock.moment = datetime(2025, 10, 6, 17, 30, tzinfo=UTC)
    body = {"counted_cash_cents": 6048, "variance_comment": "pièces tombées"}
    closed = await shop.post(f"/sessions/{session['id']}/close", body, status=200)
    assert closed["status"] == "closed"
    assert (closed["theoretical_cash_cents"], closed["variance_cents"]) == (6050, -2)
    [event] = shop.bus.sent
    assert event.name == "sale_closed"
    assert event.model_dump() == {
        "session_id": session["id"],
        "register_id": session["register"]["id"],
        "register_name": "Caisse 1",
        "operator": "Camille",
        "business_date": date(2025, 10, 6),
        "opened_at": datetime(2025, 10, 6, 9, 0, tzinfo=UTC),
        "closed_at": datetime(2025, 10, 6, 17, 30, tzinfo=UTC),
        "deferred": False,
        "ticket_count": 2,
        "sales_cents": 1300,
        "donations_cents": 50,
        "total_cents": 1350,
        "payments": {"cash": 1050, "card": 0, "check": 300},
        "opening_float_cents": 5000,
        "theoretical_cash_cents": 6050,
        "counted_cash_cents": 6048,
        "variance_cents": -2,
        "variance_comment": "pièces tombées",
    }


@pytest.mark.parametrize(("off", "needs_comment"), [(0, False), (5, False), (-5, False), (6, True), (-6, True)])
async def test_a_variance_above_five_cents_needs_a_comment(shop, off, needs_comment):
    session = await shop.open(opening_float_cents=1000)
    path, body = f"/sessions/{session['id']}/close", {"counted_cash_cents": 1000 + off}
    if not needs_comment:
        assert (await shop.post(path, body, status=200))["variance_cents"] == off
        return
    status, code, error = await shop.refused(path, {**body, "variance_comment": "  "})
    assert (status, code) == (422, "variance_comment_required")
    assert [field["path"] for field in error["fields"]] == ["variance_comment"]
    assert error["details"] == {"theoretical_cash_cents": 1000, "variance_cents": off}
    assert shop.bus.sent == []
    assert (await shop.get(f"/sessions/{session['id']}"))["status"] == "open"
    assert (await shop.post(path, {**body, "variance_comment": "erreur de rendu"}, status=200))["status"] == "closed"


async def test_a_closed_session_takes_no_ticket_no_refund_and_no_second_close(any_shop):
    session = await any_shop.open()
    ticket = await any_shop.sell(session, 100)
    await any_shop.post(f"/sessions/{session['id']}/close", {"counted_cash_cents": 100}, status=200)
    before = await any_shop.get(f"/sessions/{session['id']}")
    sale = {
        "lines": [{"label": "Livre", "unit_price_cents": 100}],
        "payments": [{"method": "cash", "amount_cents": 100}],
    }
    back = {"session_id": session["id"], "method": "cash", "reason": "cassé",
            "lines": [{"line_id": ticket["lines"][0]["id"], "quantity": 1}]}  # fmt: skip
    for path, body in (
        (f"/sessions/{session['id']}/tickets", sale),
        (f"/tickets/{ticket['id']}/refund", back),
        (f"/sessions/{session['id']}/close", {"counted_cash_cents": 0}),
    ):
        assert (await any_shop.refused(path, body))[:2] == (409, "session_closed")
    assert await any_shop.get(f"/sessions/{session['id']}") == before
    assert len(any_shop.bus.sent) == 1


async def test_of_ten_closes_at_once_one_closes_and_one_event_goes_out(any_shop):
    session = await any_shop.open()
    path = f"/api/modules/caisse/sessions/{session['id']}/close"
    answers = await asyncio.gather(*(any_shop.http.post(path, json={"counted_cash_cents": 0}) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    assert len(any_shop.bus.sent) == 1


async def test_a_closed_register_opens_again_in_a_new_session(shop):
    first = await shop.open()
    await shop.post(f"/sessions/{first['id']}/close", {"counted_cash_cents": 0}, status=200)
    assert (await shop.open())["id"] > first["id"]


async def test_the_history_of_sessions_is_read_page_by_page(shop):
    ids = [(await shop.open(f"Caisse {number}"))["id"] for number in range(5)]
    await shop.post(f"/sessions/{ids[0]}/close", {"counted_cash_cents": 0}, status=200)
    first = await shop.get("/sessions?limit=2")
    second = await shop.get(f"/sessions?limit=2&before={first['next']}")
    last = await shop.get(f"/sessions?limit=2&before={second['next']}")
    assert [item["id"] for page in (first, second, last) for item in page["items"]] == ids[::-1]
    assert last["next"] is None
    assert [item["id"] for item in (await shop.get("/sessions?status=closed"))["items"]] == ids[:1]


@pytest.mark.parametrize("path", ["/sessions/none", "/sessions/none/tickets", "/tickets/none", "/imports/none"])
async def test_what_does_not_exist_answers_404(shop, path):
    await shop.get(path, status=404)


@pytest.mark.parametrize("path", ["/sessions?limit=0", "/sessions?limit=501", "/tickets?before=%27", "/tickets/%00"])
async def test_a_strange_address_is_refused(shop, path):
    await shop.get(path, status=422)
