"""What comes back is an entry of its own; no more comes back than was sold, and none of it twice."""

from __future__ import annotations

import asyncio

import pytest


async def sold(shop, session, *, quantity=3, price=500, grams=1000, method="cash"):
    lines = [{"label": "Assiette", "quantity": quantity, "unit_price_cents": price, "weight_grams": grams}]
    return await shop.sell(session, quantity * price, method, lines=lines)


def back(session, ticket, quantity=1, method="cash", **more):
    line = ticket["lines"][0]["id"]
    return {"session_id": session["id"], "method": method, "reason": "fêlée",
            "lines": [{"line_id": line, "quantity": quantity}], **more}  # fmt: skip


async def test_a_refund_is_a_ticket_of_its_own_with_negative_amounts(shop):
    session = await shop.open(opening_float_cents=1000)
    ticket = await sold(shop, session)
    refund = await shop.post(f"/tickets/{ticket['id']}/refund", back(session, ticket, 2))
    assert (refund["kind"], refund["refund_of"], refund["note"]) == ("refund", ticket["id"], "fêlée")
    assert (refund["sales_cents"], refund["total_cents"], refund["donation_cents"]) == (-1000, -1000, 0)
    assert [(line["quantity"], line["total_cents"], line["unit_price_cents"]) for line in refund["lines"]] == [
        (-2, -1000, 500)
    ]
    assert refund["payments"] == [{"method": "cash", "amount_cents": -1000, "tendered_cents": None}]
    assert await shop.get(f"/tickets/{ticket['id']}") == ticket
    found = await shop.get(f"/sessions/{session['id']}")
    assert (found["sales_cents"], found["payments"]["cash"], found["theoretical_cash_cents"]) == (500, 500, 1500)
    assert found["ticket_count"] == 2


async def test_a_card_refund_leaves_the_drawer_alone(shop):
    session = await shop.open(opening_float_cents=1000)
    ticket = await sold(shop, session)
    await shop.post(f"/tickets/{ticket['id']}/refund", back(session, ticket, 1, "card"))
    found = await shop.get(f"/sessions/{session['id']}")
    assert (found["payments"], found["theoretical_cash_cents"]) == ({"cash": 1500, "card": -500, "check": 0}, 2500)


async def test_a_refund_belongs_to_the_session_that_pays_it_out(shop):
    first = await shop.open()
    ticket = await sold(shop, first)
    await shop.post(f"/sessions/{first['id']}/close", {"counted_cash_cents": 1500}, status=200)
    second = await shop.open(opening_float_cents=2000)
    refund = await shop.post(f"/tickets/{ticket['id']}/refund", back(second, ticket, 3))
    assert refund["session_id"] == second["id"]
    assert (await shop.get(f"/sessions/{first['id']}"))["sales_cents"] == 1500
    assert (await shop.get(f"/sessions/{second['id']}"))["sales_cents"] == -1500


async def test_no_more_comes_back_than_was_sold(shop):
    session = await shop.open(opening_float_cents=9000)
    ticket = await sold(shop, session)
    path = f"/tickets/{ticket['id']}/refund"
    await shop.post(path, back(session, ticket, 2))
    assert (await shop.refused(path, back(session, ticket, 2)))[:2] == (422, "refund_exceeds_sale")
    twice = back(session, ticket)
    twice["lines"] *= 2
    assert (await shop.refused(path, twice))[:2] == (422, "refund_exceeds_sale")
    await shop.post(path, back(session, ticket, 1))
    assert (await shop.refused(path, back(session, ticket, 1)))[:2] == (422, "refund_exceeds_sale")


async def test_of_ten_refunds_at_once_only_what_was_sold_comes_back(any_shop):
    session = await any_shop.open(opening_float_cents=9000)
    ticket = await sold(any_shop, session)
    path = f"/api/modules/caisse/tickets/{ticket['id']}/refund"
    answers = await asyncio.gather(*(any_shop.http.post(path, json=back(session, ticket)) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [422] * 7
    assert (await any_shop.get(f"/sessions/{session['id']}"))["sales_cents"] == 0


async def test_the_weight_that_comes_back_makes_the_weight_that_was_sold(shop):
    session = await shop.open()
    ticket = await sold(shop, session, grams=1000)
    path = f"/tickets/{ticket['id']}/refund"
    weights = [(await shop.post(path, back(session, ticket)))["lines"][0]["weight_grams"] for _ in range(3)]
    assert weights == [-333, -333, -334]


async def test_a_refund_sent_twice_is_recorded_once(any_shop):
    session = await any_shop.open()
    ticket = await sold(any_shop, session)
    path, body = f"/tickets/{ticket['id']}/refund", back(session, ticket, client_id="r-1")
    first = await any_shop.post(path, body)
    assert await any_shop.post(path, body, status=200) == first
    assert len(await any_shop.tickets_in_database()) == 2


async def test_a_drawer_cannot_pay_out_what_it_does_not_hold(shop):
    session = await shop.open(opening_float_cents=400)
    ticket = await sold(shop, session, method="card")
    path = f"/tickets/{ticket['id']}/refund"
    assert (await shop.refused(path, back(session, ticket)))[:2] == (422, "not_enough_cash")
    await shop.post(path, back(session, ticket, 1, "card"))


async def test_a_refund_is_not_refunded(shop):
    session = await shop.open()
    ticket = await sold(shop, session)
    refund = await shop.post(f"/tickets/{ticket['id']}/refund", back(session, ticket))
    assert (await shop.refused(f"/tickets/{refund['id']}/refund", back(session, refund)))[:2] == (422, "not_refundable")


async def test_a_line_of_another_ticket_is_refused(shop):
    session = await shop.open()
    ticket, other = await sold(shop, session), await sold(shop, session)
    assert (await shop.refused(f"/tickets/{ticket['id']}/refund", back(session, other)))[:2] == (422, "line_unknown")


@pytest.mark.parametrize(("price", "method"), [(500, "free"), (0, "cash")])
async def test_free_gives_nothing_back_and_nothing_is_given_back_free(shop, price, method):
    session = await shop.open(opening_float_cents=900)
    ticket = await sold(shop, session, price=price, method="cash")
    body = back(session, ticket, 1, method)
    assert (await shop.refused(f"/tickets/{ticket['id']}/refund", body))[:2] == (422, "payments_do_not_match")


async def test_something_given_away_comes_back_for_nothing(shop):
    session = await shop.open()
    ticket = await sold(shop, session, price=0)
    refund = await shop.post(f"/tickets/{ticket['id']}/refund", back(session, ticket, 3, "free"))
    assert (refund["total_cents"], refund["lines"][0]["weight_grams"]) == (0, -1000)


async def test_a_refund_says_why(shop):
    session = await shop.open()
    ticket = await sold(shop, session)
    status, code, error = await shop.refused(f"/tickets/{ticket['id']}/refund", back(session, ticket, reason="  "))
    assert (status, code, error["fields"][0]["path"]) == (422, "invalid_input", "reason")
