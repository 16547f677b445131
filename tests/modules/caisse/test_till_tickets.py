"""A ticket's payments make its lines and donation; it is recorded once, whatever the network does."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


async def test_a_ticket_is_told_back_as_it_was_recorded(shop):
    session = await shop.open()
    body = {
        "lines": [
            {"label": "Livre", "category_name": "Livres", "quantity": 3, "weight_grams": 905, "unit_price_cents": 150},
            {"label": "Chaise", "unit_price_cents": 1200},
        ],
        "payments": [
            {"method": "cash", "amount_cents": 650, "tendered_cents": 1000},
            {"method": "card", "amount_cents": 1000},
            {"method": "check", "amount_cents": 200},
        ],
        "donation_cents": 200,
        "note": "sans sac",
        "client_id": "a-1",
    }
    ticket = await shop.post(f"/sessions/{session['id']}/tickets", body)
    assert [(line["quantity"], line["weight_grams"], line["total_cents"]) for line in ticket["lines"]] == [
        (3, 905, 450),
        (1, None, 1200),
    ]
    assert ticket["lines"][0]["category"]["name"] == "Livres"
    assert ticket["payments"][0] == {"method": "cash", "amount_cents": 650, "tendered_cents": 1000}
    assert (ticket["number"], ticket["kind"], ticket["operator"], ticket["note"]) == (1, "sale", "Camille", "sans sac")
    assert (ticket["sales_cents"], ticket["donation_cents"], ticket["total_cents"]) == (1650, 200, 1850)
    assert await shop.get(f"/tickets/{ticket['id']}") == ticket
    assert (await shop.get(f"/sessions/{session['id']}/tickets"))["items"] == [ticket]
    assert (await shop.get("/tickets"))["items"] == [ticket]


async def test_weight_never_makes_the_price(shop):
    session = await shop.open()
    lines = [{"label": "Vrac", "quantity": 2, "weight_grams": 2500, "unit_price_cents": 100}]
    ticket = await shop.sell(session, 200, lines=lines)
    assert ticket["sales_cents"] == 200


@pytest.mark.parametrize(
    "payments",
    [
        [],
        [{"method": "cash", "amount_cents": 499}],
        [{"method": "cash", "amount_cents": 501}],
        [{"method": "free", "amount_cents": 500}],
        [{"method": "cash", "amount_cents": 250}, {"method": "free", "amount_cents": 250}],
    ],
)
async def test_payments_that_do_not_make_the_total_are_refused(shop, payments):
    session = await shop.open()
    body = {"lines": [{"label": "Livre", "unit_price_cents": 500}], "payments": payments}
    assert (await shop.refused(f"/sessions/{session['id']}/tickets", body))[:2] == (422, "payments_do_not_match")
    assert await shop.tickets_in_database() == []
    assert (await shop.get(f"/sessions/{session['id']}"))["ticket_count"] == 0


@pytest.mark.parametrize("payments", [[], [{"method": "free", "amount_cents": 0}]])
async def test_something_given_away_is_a_ticket_at_nothing(shop, payments):
    session = await shop.open()
    lines = [{"label": "Livre", "weight_grams": 300, "unit_price_cents": 0}]
    ticket = await shop.sell(session, 0, lines=lines, payments=payments)
    assert (ticket["kind"], ticket["total_cents"]) == ("sale", 0)


async def test_money_for_nothing_is_a_donation(shop):
    session = await shop.open()
    ticket = await shop.sell(session, 700, lines=[], donation_cents=700)
    assert (ticket["kind"], ticket["sales_cents"], ticket["donation_cents"]) == ("donation", 0, 700)


async def test_an_empty_ticket_is_refused(shop):
    session = await shop.open()
    assert (await shop.refused(f"/sessions/{session['id']}/tickets", {}))[:2] == (422, "ticket_empty")


LINE = {"label": "Livre", "quantity": 1, "unit_price_cents": 100}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"lines": [{**LINE, "quantity": 0}]}, "lines.0.quantity"),
        ({"lines": [{**LINE, "quantity": 1000}]}, "lines.0.quantity"),
        ({"lines": [{**LINE, "quantity": 1.5}]}, "lines.0.quantity"),
        ({"lines": [{**LINE, "unit_price_cents": -1}]}, "lines.0.unit_price_cents"),
        ({"lines": [{**LINE, "unit_price_cents": 1_000_001}]}, "lines.0.unit_price_cents"),
        ({"lines": [{**LINE, "weight_grams": -1}]}, "lines.0.weight_grams"),
        ({"lines": [{**LINE, "label": "a\x00b"}]}, "lines.0.label"),
        ({"lines": [{**LINE, "label": "\ud800"}]}, "lines.0.label"),
        ({"lines": [{**LINE, "label": "a" * 201}]}, "lines.0.label"),
        ({"lines": [{**LINE, "label": " "}]}, "lines.0"),
        ({"lines": [{**LINE, "colour": "blue"}]}, "lines.0.colour"),
        ({"lines": [LINE] * 201}, "lines"),
        ({"payments": [{"method": "bitcoin", "amount_cents": 100}]}, "payments.0.method"),
        ({"payments": [{"method": "cash", "amount_cents": -100}]}, "payments.0.amount_cents"),
        ({"payments": [{"method": "cash", "amount_cents": 100, "tendered_cents": 99}]}, "payments.0"),
        ({"payments": [{"method": "card", "amount_cents": 100, "tendered_cents": 100}]}, "payments.0"),
        ({"donation_cents": -1}, "donation_cents"),
        ({"total_cents": 100}, "total_cents"),
    ],
)
async def test_what_is_out_of_bounds_is_refused_by_its_name(shop, change, path):
    session = await shop.open()
    body = {"lines": [LINE], "payments": [{"method": "cash", "amount_cents": 100}], **change}
    status, code, error = await shop.refused(
        f"/sessions/{session['id']}/tickets", content=json_bytes(body), headers={"Content-Type": "application/json"}
    )
    assert (status, code) == (422, "invalid_input")
    assert [field["path"] for field in error["fields"]] == [path]


def json_bytes(body) -> bytes:
    return json.dumps(body).encode()  # ascii: a lone surrogate travels as its escape


async def test_a_line_at_its_bounds_is_accepted(any_shop):
    session = await any_shop.open()
    lines = [{"label": "Lot", "quantity": 999, "unit_price_cents": 1_000_000, "weight_grams": 1_000_000}]
    payments = [{"method": "card", "amount_cents": 99_900_000}] * 10
    ticket = await any_shop.sell(session, 0, lines=lines, payments=payments)
    assert ticket["total_cents"] == 999_000_000


async def test_a_price_outside_the_categorys_limits_is_a_warning_not_a_lock(shop):
    await shop.post("/categories/import", status=200, content="Catégorie racine,Sous-catégorie,Prix minimum (€),"
                    "Prix maximum (€)\nMobilier,Canapé,30,80\n".encode())  # fmt: skip
    session = await shop.open()
    for price, warning in ((2999, "below_minimum"), (3000, None), (8000, None), (8001, "above_maximum"), (0, None)):
        lines = [{"category_name": "Canapé", "unit_price_cents": price}]
        ticket = await shop.sell(session, price, lines=lines)
        assert ticket["lines"][0]["warning"] == warning
        assert (await shop.get(f"/tickets/{ticket['id']}"))["lines"][0]["warning"] == warning


async def test_an_unknown_category_id_is_refused_and_an_unknown_name_becomes_a_root(any_shop):
    session = await any_shop.open()
    body = {"lines": [{**LINE, "category_id": "none"}], "payments": [{"method": "cash", "amount_cents": 100}]}
    assert (await any_shop.refused(f"/sessions/{session['id']}/tickets", body))[:2] == (422, "category_unknown")
    for name in ("Vélos", " VÉLOS "):
        await any_shop.sell(session, 100, lines=[{**LINE, "category_name": name}])
    [category] = await any_shop.get("/categories")
    assert (category["name"], category["parent_id"]) == ("Vélos", None)


async def test_a_ticket_sent_twice_is_recorded_once(shop):
    session = await shop.open()
    first = await shop.sell(session, 500, client_id="browser-7")
    body = {"lines": [{"label": "Livre", "quantity": 1, "unit_price_cents": 500}],
            "payments": [{"method": "cash", "amount_cents": 500}], "client_id": "browser-7"}  # fmt: skip
    path = f"/sessions/{session['id']}/tickets"
    assert await shop.post(path, body, status=200) == first
    await shop.post(f"/sessions/{session['id']}/close", {"counted_cash_cents": 500}, status=200)
    assert await shop.post(path, body, status=200) == first
    assert len(await shop.tickets_in_database()) == 1


async def test_ten_copies_of_a_ticket_at_once_are_recorded_once(any_shop):
    session = await any_shop.open()
    body = {"lines": [LINE], "payments": [{"method": "cash", "amount_cents": 100}], "client_id": "browser-8"}
    path = f"/api/modules/caisse/sessions/{session['id']}/tickets"
    answers = await asyncio.gather(*(any_shop.http.post(path, json=body) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await any_shop.get(f"/sessions/{session['id']}"))["sales_cents"] == 100


async def test_another_ticket_with_a_client_id_that_was_used_is_refused(any_shop):
    session, other = await any_shop.open("Caisse 1"), await any_shop.open("Caisse 2")
    body = {"lines": [LINE], "payments": [{"method": "cash", "amount_cents": 100}], "client_id": "browser-9"}
    await any_shop.post(f"/sessions/{session['id']}/tickets", body)
    changed = {**body, "note": "autre"}
    assert (await any_shop.refused(f"/sessions/{session['id']}/tickets", changed))[:2] == (409, "client_id_reused")
    assert (await any_shop.refused(f"/sessions/{other['id']}/tickets", body))[:2] == (409, "client_id_reused")


async def test_forty_tickets_at_once_are_all_counted_and_numbered(any_shop):
    session = await any_shop.open()
    body = {"lines": [LINE], "payments": [{"method": "cash", "amount_cents": 100}]}
    path = f"/api/modules/caisse/sessions/{session['id']}/tickets"
    answers = await asyncio.gather(*(any_shop.http.post(path, json=body) for _ in range(40)))
    assert sorted(answer.json()["number"] for answer in answers) == list(range(1, 41))
    found = await any_shop.get(f"/sessions/{session['id']}")
    assert (found["ticket_count"], found["sales_cents"], found["theoretical_cash_cents"]) == (40, 4000, 4000)


async def test_the_history_of_tickets_is_read_page_by_page(shop):
    session = await shop.open()
    ids = [(await shop.sell(session, 100 + number))["id"] for number in range(5)]
    first = await shop.get("/tickets?limit=3")
    second = await shop.get(f"/tickets?limit=3&before={first['next']}")
    assert [ticket["id"] for page in (first, second) for ticket in page["items"]] == ids[::-1]
    assert second["next"] is None


SALES = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5000)), min_size=1, max_size=3),
        st.integers(0, 500),
        st.lists(st.sampled_from(["cash", "card", "check"]), min_size=1, max_size=3),
    ),
    max_size=6,
)


@pytest.mark.slow  # many days
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sales=SALES, opening=st.integers(0, 10_000))
async def test_whatever_is_sold_the_totals_are_those_of_the_tickets(shop, sales, opening):
    number = len(await shop.get("/registers")) + 1
    session = await shop.open(f"Caisse {number}", opening)
    cash = 0
    for lines, donation, methods in sales:
        total = sum(quantity * price for quantity, price in lines) + donation
        share = total // len(methods)
        amounts = [share] * (len(methods) - 1) + [total - share * (len(methods) - 1)]
        cash += sum(amount for method, amount in zip(methods, amounts, strict=True) if method == "cash")
        await shop.post(
            f"/sessions/{session['id']}/tickets",
            {
                "lines": [{"label": "x", "quantity": quantity, "unit_price_cents": price} for quantity, price in lines],
                "payments": [{"method": m, "amount_cents": a} for m, a in zip(methods, amounts, strict=True)],
                "donation_cents": donation,
            },
        )
    found = await shop.get(f"/sessions/{session['id']}")
    tickets = (await shop.get(f"/sessions/{session['id']}/tickets"))["items"]
    assert found["total_cents"] == sum(ticket["total_cents"] for ticket in tickets) == sum(found["payments"].values())
    assert found["theoretical_cash_cents"] == opening + cash
