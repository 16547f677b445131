"""The main job on real input: a shop's paper notebook of September 2025, from its file to the accounting's books."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from recyclic.testing import faults

NOTEBOOK = Path(__file__).parent.parent / "data" / "till-notebook-2025-09.csv"

BOOKS = {
    date(2025, 9, 17): ({"530": 18_00}, {"7073": 18_00}),
    date(2025, 9, 18): ({"530": 15_00}, {"7073": 15_00}),
    date(2025, 9, 19): ({"530": 2_00}, {"7541": 2_00}),
    date(2025, 9, 20): ({"530": 19_00}, {"7073": 19_00}),
    date(2025, 9, 26): ({"530": 223_70}, {"7073": 203_70, "7541": 20_00}),
}
"""Accounting day → debits and credits by account, in cents; all was paid in cash."""

pytestmark = pytest.mark.slow  # a month of notebooks
EVERYTHING = pytest.mark.modules("caisse", "members", "barcodes", "paheko")


async def import_notebook(http) -> dict:
    response = await http.post(
        "/api/modules/caisse/import",
        params={"filename": NOTEBOOK.name},
        content=NOTEBOOK.read_bytes(),
        headers={"content-type": "text/csv"},
    )
    assert response.status_code == 201, response.text
    return response.json()


async def close(http, report: dict) -> None:
    response = await http.post(f"/api/modules/caisse/imports/{report['id']}/close")
    assert response.status_code == 200, response.text


def books(paheko_server) -> dict:
    entries = paheko_server.entries()
    assert len({entry.date for entry in entries}) == len(entries), "two entries on one day"
    return {entry.date: (entry.debits, entry.credits) for entry in entries}


@EVERYTHING
async def test_the_notebook_reaches_accounting_through_failures_and_a_death(module_host, paheko_server):
    """Imported over HTTP and closed; accounting fails twice, the worker dies once; five exact entries."""
    async with module_host.act("import the notebook") as importing:
        report = await import_notebook(module_host.http)
    importing.nothing_else()

    assert (report["rows"], report["booked"], report["held"]) == (57, 48, 9)
    async with module_host.act(
        "close the notebook's days",
        faults.handler("paheko", "sale_closed", fail=2),
        faults.kill_worker(at="handler..ack", event="sale_closed", module="paheko"),
    ) as closing:
        await close(module_host.http, report)

    assert books(paheko_server) == BOOKS
    closing.emitted("sale_closed").times(5)
    written = closing.emitted("entry_written").times(5)
    assert sorted(entry.data["amount_cents"] for entry in written) == [200, 1500, 1800, 1900, 22370]
    closing.consumed("sale_closed", by="paheko")
    closing.never("member_created")


@EVERYTHING
async def test_every_line_that_needs_a_decision_waits_for_one(module_host, paheko_server):
    """Nothing is dropped silently: four lines without a date hold 26,00 €, five without a price wait, by number."""
    report = await import_notebook(module_host.http)
    held = {line["line"]: line["reasons"] for line in report["lines"] if line["status"] == "held"}
    undated = [line for line, reasons in held.items() if reasons == ["date_missing"]]
    unpriced = [line for line, reasons in held.items() if reasons == ["price_missing"]]
    assert undated == [19, 20, 21, 22]
    assert unpriced == [29, 30, 31, 33, 40]
    assert len(held) == 9
    by_line = {line["line"]: line for line in report["lines"]}
    assert sum(by_line[line]["price_cents"] for line in undated) == 26_00
    assert {by_line[line]["date"] for line in unpriced} == {"2025-09-26"}
    assert (report["total_cents"], report["notebook_total_cents"]) == (303_70, 303_70)
    assert (report["total_grams"], report["notebook_total_grams"]) == (138_830, 138_820)
    assert report["differences"], "the ten grams between the notebook's total and its lines are said"


@EVERYTHING
async def test_a_decided_line_reaches_accounting_too(module_host, paheko_server):
    """The days are closed; then an undated line is given its day: a session of its own, and an entry of its own."""
    report = await import_notebook(module_host.http)
    async with module_host.act("close the notebook's days"):
        await close(module_host.http, report)
    decide = f"/api/modules/caisse/imports/{report['id']}/lines/21"
    async with module_host.act("decide line 21, the microwave oven") as trace:
        decided = await module_host.http.post(decide, json={"decision": "book", "date": "2025-09-20"})
        assert decided.status_code == 200, decided.text
        await close(module_host.http, report)
    trace.emitted("sale_closed", sales_cents=15_00, total_cents=15_00).once()
    entries = [entry for entry in paheko_server.entries() if entry.date == date(2025, 9, 20)]
    assert sorted(json.dumps([e.debits, e.credits]) for e in entries) == sorted(
        json.dumps(sides) for sides in ([{"530": 15_00}, {"7073": 15_00}], [{"530": 19_00}, {"7073": 19_00}])
    )


@EVERYTHING
async def test_the_same_notebook_is_not_imported_twice(module_host, paheko_server):
    """The second upload of the same file is refused, and books nothing."""
    await import_notebook(module_host.http)
    again = await module_host.http.post(
        "/api/modules/caisse/import", params={"filename": "copie.csv"}, content=NOTEBOOK.read_bytes()
    )
    assert again.status_code == 409
    assert again.json()["error"]["code"] == "already_imported"
