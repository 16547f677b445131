"""A till with a ticket, made over HTTP."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

CAISSE = "/api/modules/caisse"


@dataclass(frozen=True)
class Sale:
    """A ticket of an open session."""

    id: str
    session_id: str
    page: str


@pytest.fixture
def sale(ui_host) -> Sale:
    """One chair for 5 €, sold for cash."""
    http = ui_host.http
    register = http.post(f"{CAISSE}/registers", json={"name": "Caisse 1"}).raise_for_status().json()
    opened = {"register_id": register["id"], "opening_float_cents": 5_000}
    session = http.post(f"{CAISSE}/sessions", json=opened).raise_for_status().json()
    ticket = {
        "lines": [{"label": "Chaise", "quantity": 1, "unit_price_cents": 500}],
        "payments": [{"method": "cash", "amount_cents": 500}],
        "donation_cents": 0,
        "note": "",
    }
    sold = http.post(f"{CAISSE}/sessions/{session['id']}/tickets", json=ticket).raise_for_status().json()
    return Sale(sold["id"], session["id"], f"/modules/caisse/ventes/{sold['id']}")


@pytest.fixture
def impatient(monkeypatch):
    """Call it to let what is sure not to come be given up soon."""
    return lambda: monkeypatch.setattr("recyclic.testing.slots.view.PATIENCE", 0.5)
