"""A volunteer's day in a real browser: open the till, sell, close; the accounting has it, and the sale page says so."""

from __future__ import annotations

import re

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.modules("caisse", "members", "barcodes", "paheko"),
    pytest.mark.xdist_group("browser"),
]

WORDS = {
    "fr": {
        "register": "Caisse 1 Fermée",
        "float": "Fond de caisse initial",
        "open": "Ouvrir la caisse",
        "loose": "Article libre",
        "label": "Libellé",
        "price": "Prix unitaire",
        "add": re.compile("^Ajouter ·"),
        "pay": "Encaisser",
        "confirm": re.compile("^Valider"),
        "see": "Voir le ticket",
        "sale": "Vente n° 1",
        "counted": "Espèces comptées dans le tiroir",
        "close": "Fermer la session",
        "closed": "Session fermée",
        "written": "Écrite",
    },
    "en": {
        "register": "Caisse 1 Closed",
        "float": "Opening float",
        "open": "Open the till",
        "loose": "Loose item",
        "label": "Label",
        "price": "Unit price",
        "add": re.compile("^Add ·"),
        "pay": "Take payment",
        "confirm": re.compile("^Confirm"),
        "see": "See the ticket",
        "sale": "Sale no. 1",
        "counted": "Cash counted in the drawer",
        "close": "Close the session",
        "closed": "Session closed",
        "written": "Written",
    },
}


@pytest.mark.parametrize("locale", ["fr", "en"])
def test_open_sell_close_and_the_books_have_it(ui_host, paheko_server, locale):
    """One article at 5 €, cash, counted right: one entry, seen on the sale's page in Paheko's panel."""
    say = WORDS[locale]
    register = ui_host.http.post("/api/modules/caisse/registers", json={"name": "Caisse 1"}).json()

    page = ui_host.open("/modules/caisse", locale=locale)
    page.click(role="button", name=say["register"])
    page.fill("50", label=say["float"]).click(role="button", name=say["open"])
    page.click(role="button", name=say["loose"])
    page.fill("Jean", label=say["label"]).fill("5", label=say["price"])
    page.click(role="button", name=say["add"])
    page.click(role="button", name=say["pay"]).click(role="button", name=say["confirm"])
    page.click(role="link", name=say["see"]).shows(role="heading", name=say["sale"]).no_uncaught_errors()

    sale = page.do(lambda tab: tab.url).rpartition("/")[2]
    session = ui_host.http.get(f"/api/modules/caisse/tickets/{sale}").json()["session_id"]
    closing = ui_host.open(f"/modules/caisse/sessions/{session}", locale=locale)
    closing.fill("55", label=say["counted"])
    with ui_host.act("close the session") as trace:
        closing.click(role="button", name=say["close"])
    closing.shows(role="heading", name=say["closed"]).no_uncaught_errors()

    trace.emitted("sale_closed", register_id=register["id"], total_cents=5_00).once()
    trace.emitted("entry_written", amount_cents=5_00).once().caused_by(trace.clicked(say["close"]).once())
    [entry] = paheko_server.entries()
    assert (entry.debits, entry.credits) == ({"530": 5_00}, {"7073": 5_00})

    panel = ui_host.open(f"/modules/caisse/ventes/{sale}", locale=locale).extension("paheko/SaleDetailsPanel")
    panel.shows(text=say["written"], exact=True)
