"""The sample data is the same day every time, to the cent."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from recyclic.modules.caisse import demo

pytestmark = pytest.mark.slow  # processes of their own

DATA = Path(__file__).parents[2] / "data"


def money(session):
    names = ("ticket_count", "sales_cents", "donations_cents", "total_cents", "opening_float_cents",
             "theoretical_cash_cents", "counted_cash_cents", "variance_cents")  # fmt: skip
    return {name: session[name] for name in names} | session["payments"]


async def test_a_busy_day_ends_as_it_did(any_shop):
    first, second = await demo.busy_day(any_shop.http)
    assert (first["register"]["name"], second["register"]["name"]) == ("Caisse 1", "Caisse 2")
    assert {first["status"], second["status"]} == {"closed"}
    assert money(first) == {
        "ticket_count": 76,
        "sales_cents": 102_050,
        "donations_cents": 1_950,
        "total_cents": 104_000,
        "opening_float_cents": 10_000,
        "theoretical_cash_cents": 77_300,
        "counted_cash_cents": 77_160,
        "variance_cents": -140,
        "cash": 67_300,
        "card": 27_850,
        "check": 8_850,
    }
    assert money(second) == {
        "ticket_count": 75,
        "sales_cents": 94_850,
        "donations_cents": 2_950,
        "total_cents": 97_800,
        "opening_float_cents": 7_550,
        "theoretical_cash_cents": 66_500,
        "counted_cash_cents": 66_500,
        "variance_cents": 0,
        "cash": 58_950,
        "card": 23_050,
        "check": 15_800,
    }
    assert [event.total_cents for event in any_shop.bus.sent] == [104_000, 97_800]
    tickets = await any_shop.tickets_in_database()
    assert Counter(ticket.kind for ticket in tickets) == {"sale": 146, "donation": 4, "refund": 1}
    assert sum(1 for ticket in tickets if ticket.kind == "sale" and ticket.total_cents == 0) == 10
    assert sum(1 for ticket in tickets if len(ticket.payments) == 2) == 12
    assert {payment.method for ticket in tickets for payment in ticket.payments} == {"cash", "card", "check", "free"}


async def test_an_interrupted_day_can_be_played_again(shop):
    left = await shop.open("Caisse 1", 5000)
    await shop.sell(left, 300)
    first, _ = await demo.busy_day(shop.http)
    assert first["total_cents"] == 104_000
    assert (await shop.get(f"/sessions/{left['id']}"))["counted_cash_cents"] == 5300


async def test_the_sample_says_what_it_holds_and_imports_its_notebook_once(shop, notebook):
    said = await demo.play(shop.http)
    assert said == "caisse: 2 sessions, 151 tickets, 2018,00 €; a notebook of 57 lines, 9 of them to decide"
    [report] = await shop.get("/imports")
    again = await demo.notebook(shop.http, notebook, "encore.csv")
    assert (again["id"], again["filename"]) == (report["id"], "till-notebook-2025-09.csv")


@pytest.mark.parametrize("name", ["till-notebook-2025-09.csv", "categories-2025.csv"])
def test_the_samples_are_the_shops_own_files(name):
    assert (demo.SAMPLES / name).read_bytes() == (DATA / name).read_bytes()
