"""The entry of a closed session: which accounts, which side, to the cent."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recyclic.modules.paheko.entries import ClosedSession, amount_of, build_entry, euros, shortened
from recyclic.modules.paheko.errors import EntryError
from recyclic.modules.paheko.settings import PahekoSettings

SETTINGS = PahekoSettings()


def closed(*, cash=0, card=0, check=0, donations=0, variance=0, opening=5000, **changes):
    """A session whose figures agree, unless `changes` say otherwise."""
    values = {
        "session_id": "7f3a",
        "business_date": date(2025, 9, 26),
        "register_name": "Caisse 1",
        "operator": "Zoé",
        "ticket_count": 3,
        "sales_cents": cash + card + check - donations,
        "donations_cents": donations,
        "payments": {"cash": cash, "card": card, "check": check},
        "opening_float_cents": opening,
        "counted_cash_cents": opening + cash + variance,
        "variance_cents": variance,
        "variance_comment": "",
    }
    return ClosedSession(**{**values, **changes})


def sides(session, settings=SETTINGS):
    entry = build_entry(session, settings)
    assert sum(line.cents for line in entry.lines) == 0
    debits = {line.account: line.cents for line in entry.lines if line.cents > 0}
    credit = {line.account: -line.cents for line in entry.lines if line.cents < 0}
    return debits, credit


def test_a_day_with_every_means_of_payment():
    session = closed(cash=12050, card=3310, check=2000, donations=500)
    assert sides(session) == ({"530": 12050, "5115": 3310, "5112": 2000}, {"7073": 16860, "7541": 500})


def test_missing_cash_is_an_expense_and_cash_is_what_was_counted():
    assert sides(closed(cash=10000, variance=-140)) == ({"530": 9860, "658": 140}, {"7073": 10000})


def test_cash_that_is_too_much_is_an_income():
    assert sides(closed(cash=10000, variance=140)) == ({"530": 10140}, {"7073": 10000, "758": 140})


def test_a_day_of_refunds_swaps_the_sides():
    assert sides(closed(cash=-1500)) == ({"7073": 1500}, {"530": 1500})


def test_refunds_by_cash_beside_sales_by_card():
    assert sides(closed(cash=-500, card=2000)) == ({"5115": 2000}, {"530": 500, "7073": 1500})


def test_a_variance_alone_is_booked():
    assert sides(closed(variance=-5)) == ({"658": 5}, {"530": 5})
    assert sides(closed(variance=5)) == ({"530": 5}, {"758": 5})


def test_a_variance_that_eats_the_cash_leaves_no_cash_line():
    assert sides(closed(cash=140, variance=-140)) == ({"658": 140}, {"7073": 140})


def test_donations_only():
    assert sides(closed(cash=200, donations=200)) == ({"530": 200}, {"7541": 200})


def test_a_day_without_money_has_no_entry():
    assert build_entry(closed(), SETTINGS) is None
    assert amount_of(closed(), SETTINGS) == 0


def test_gifts_carry_no_money():
    session = closed(cash=100, payments={"cash": 100, "card": 0, "check": 0, "free": 700})
    assert sides(session) == ({"530": 100}, {"7073": 100})


def test_accounts_are_the_shops_own():
    own = PahekoSettings(cash=531, check="5113", card="512A", sales="707", donations="754", variance_expense="678")
    session = closed(cash=1000, card=200, check=300, donations=100, variance=-10)
    assert sides(session, own) == ({"531": 990, "512A": 200, "5113": 300, "678": 10}, {"707": 1400, "754": 100})


def test_the_body_is_what_the_api_takes():
    body = build_entry(closed(cash=4250, variance=-5, variance_comment="rendu trop"), SETTINGS).body("match")
    assert body == {
        "id_year": "match",
        "type": "ADVANCED",
        "date": "2025-09-26",
        "label": "Clôture caisse 26/09/2025 — Caisse 1",
        "reference": "RECYCLIC-session-7f3a",
        "notes": "Session de caisse 7f3a\nCaisse 1, Zoé, 3 tickets\nÉcart : rendu trop",
        "lines": [
            {"account": "530", "debit": "42.45", "label": "Espèces"},
            {"account": "658", "debit": "0.05", "label": "Écart de caisse (manquant)"},
            {"account": "7073", "credit": "42.50", "label": "Ventes"},
        ],
    }
    assert build_entry(closed(cash=1), SETTINGS).body("12")["id_year"] == 12


@pytest.mark.parametrize(
    ("cents", "text"),
    [(0, "0.00"), (5, "0.05"), (99, "0.99"), (100, "1.00"), (4250, "42.50"), (12345678901, "123456789.01")],
)
def test_euros_are_text_with_two_decimals(cents, text):
    assert euros(cents) == text


def test_texts_fit_paheko_which_counts_bytes():
    entry = build_entry(closed(cash=1, register_name="é" * 300, variance_comment="ü" * 3000), SETTINGS)
    assert len(entry.label.encode()) <= 200
    assert len(entry.notes.encode()) <= 2000
    assert entry.label.endswith("…")
    assert shortened("x" * 200, 200) == "x" * 200
    assert shortened("é" * 150, 200) == "é" * 98 + "…"
    assert build_entry(closed(cash=1, register_name="a\nb"), SETTINGS).label.endswith("a b")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sales_cents": 999}, "an entry would not balance"),
        ({"counted_cash_cents": 1}, "compare the session's count"),
        ({"payments": {"cash": 1000, "voucher": 5}}, "no account is known for payments by voucher"),
        ({"session_id": "x" * 300}, "too long"),
    ],
)
def test_figures_that_contradict_each_other_make_no_entry(changes, reason):
    session = closed(cash=1000, **changes)
    with pytest.raises(EntryError, match=reason):
        build_entry(session, SETTINGS)
    assert amount_of(session, SETTINGS) is None


def test_an_amount_beyond_what_paheko_takes_makes_no_entry():
    with pytest.raises(EntryError, match="thousand million"):
        build_entry(closed(cash=100_000_000_000), SETTINGS)


AMOUNT = st.integers(-1_000_000, 1_000_000)


@given(cash=AMOUNT, card=AMOUNT, check=AMOUNT, donations=AMOUNT, variance=AMOUNT)
def test_every_entry_balances_and_holds_positive_text_amounts(cash, card, check, donations, variance):
    entry = build_entry(closed(cash=cash, card=card, check=check, donations=donations, variance=variance), SETTINGS)
    if entry is None:
        assert (cash, card, check, donations, variance) == (0, 0, 0, 0, 0)
        return
    lines = entry.body("match")["lines"]
    debit = sum(round(float(line["debit"]) * 100) for line in lines if "debit" in line)
    credit = sum(round(float(line["credit"]) * 100) for line in lines if "credit" in line)
    assert debit == credit == entry.amount_cents > 0
    assert all(not line.get("debit", line.get("credit")).startswith("-") for line in lines)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "compta.example.org", "user": "u", "password": "p"},
        {"url": "https://u:p@compta.example.org", "user": "u", "password": "p"},
        {"url": "https://compta.example.org"},
        {"url": "https://compta.example.org", "user": "u"},
        {"label": "Caisse {nothing}"},
        {"label": "Caisse {register.__class__}"},
        {"label": "Caisse {"},
        {"label": "  "},
        {"id_year": "next"},
        {"cash": "53 0"},
        {"cash": True},
        {"unknown": 1},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValidationError):
        PahekoSettings(**wrong)


def test_the_address_is_taken_as_people_paste_it():
    for url in ("https://compta.example.org/", "https://compta.example.org/api/", " https://compta.example.org/api"):
        assert PahekoSettings(url=url, user="u", password="p").url == "https://compta.example.org"
    assert not PahekoSettings().configured


def test_the_password_is_not_shown():
    settings = PahekoSettings(url="https://compta.example.org", user="u", password="geheim")
    assert "geheim" not in repr(settings)
    assert "geheim" not in str(settings.model_dump())
