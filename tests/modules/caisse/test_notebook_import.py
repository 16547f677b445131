"""A paper notebook comes in: booked by day where nothing is in doubt, held line by line where something is."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recyclic.modules.caisse.notebook import COLUMNS
from recyclic.modules.caisse.sheet import read_sheet

SALE = "17/09/25,Vente,Livres,Livre,0.5,3.00,Espèces,cahier p.1"


async def bring_in(shop, content, filename="till-notebook-2025-09.csv", status=201):
    return await shop.post(f"/import?filename={filename}", content=content, status=status)


async def decide(shop, report, line, status=200, **decision):
    return await shop.post(f"/imports/{report['id']}/lines/{line}", {"decision": "book", **decision}, status=status)


def line_of(report, number):
    [line] = [line for line in report["lines"] if line["line"] == number]
    return line


async def test_the_real_notebook_is_booked_by_day(any_shop, notebook):
    report = await bring_in(any_shop, notebook)
    booked = [
        (session["business_date"], session["sales_cents"], session["donations_cents"], session["payments"])
        for session in report["sessions"]
    ]
    assert booked == [
        ("2025-09-17", 1800, 0, {"cash": 1800, "card": 0, "check": 0}),
        ("2025-09-18", 1500, 0, {"cash": 1500, "card": 0, "check": 0}),
        ("2025-09-19", 0, 200, {"cash": 200, "card": 0, "check": 0}),
        ("2025-09-20", 1900, 0, {"cash": 1900, "card": 0, "check": 0}),
        ("2025-09-26", 20370, 2000, {"cash": 22370, "card": 0, "check": 0}),
    ]
    assert all(session["deferred"] and session["status"] == "open" for session in report["sessions"])
    assert {session["register"]["name"] for session in report["sessions"]} == {"Cahier"}


async def test_the_report_accounts_for_every_line_and_cent(any_shop, notebook):
    report = await bring_in(any_shop, notebook)
    assert (report["rows"], report["booked"], report["held"], report["discarded"]) == (57, 48, 9, 0)
    assert (report["total_cents"], report["notebook_total_cents"]) == (30370, 30370)
    assert (report["total_grams"], report["notebook_total_grams"]) == (138830, 138820)
    assert report["differences"] == [{"what": "total_grams", "notebook": 138820, "computed": 138830, "difference": 10}]
    assert (report["booked_cents"], report["held_cents"], report["discarded_cents"]) == (27770, 2600, 0)
    held = [(line["line"], *line["reasons"]) for line in report["lines"] if line["status"] == "held"]
    undated = [(number, "date_missing") for number in (19, 20, 21, 22)]
    assert held == [*undated, *((number, "price_missing") for number in (29, 30, 31, 33, 40))]
    assert await any_shop.get(f"/imports/{report['id']}") == report
    [summary] = await any_shop.get("/imports")
    assert {**report, **summary} == report


async def test_each_booked_line_is_a_ticket_that_names_its_line(shop, notebook):
    report = await bring_in(shop, notebook)
    booked = [line for line in report["lines"] if line["status"] == "booked"]
    assert len({line["ticket_id"] for line in booked}) == 48 == len(await shop.tickets_in_database())
    ticket = await shop.get(f"/tickets/{line_of(report, 3)['ticket_id']}")
    assert ticket["source"] == {"file": "till-notebook-2025-09.csv", "line": 3}
    [line] = ticket["lines"]
    assert (line["label"], line["category"]["name"], line["weight_grams"]) == ("Déco", "Déco", 130)
    assert (ticket["kind"], ticket["total_cents"], ticket["note"]) == ("sale", 500, "cahier p.1")


async def test_a_gift_out_is_a_free_ticket_with_its_weight(shop, notebook):
    report = await bring_in(shop, notebook)
    line = line_of(report, 9)
    assert (line["kind"], line["notices"]) == ("gift", ["note_doubts"])
    ticket = await shop.get(f"/tickets/{line['ticket_id']}")
    assert (ticket["kind"], ticket["total_cents"], ticket["donation_cents"]) == ("sale", 0, 0)
    assert ticket["payments"] == [{"method": "free", "amount_cents": 0, "tendered_cents": None}]
    assert (ticket["lines"][0]["weight_grams"], ticket["note"]) == (8000, "poids à confirmer (cahier p.1)")


async def test_a_don_with_money_is_a_donation_not_a_sale(shop, notebook):
    report = await bring_in(shop, notebook)
    ticket = await shop.get(f"/tickets/{line_of(report, 11)['ticket_id']}")
    assert (ticket["kind"], ticket["sales_cents"], ticket["donation_cents"]) == ("donation", 0, 200)
    assert ticket["payments"] == [{"method": "cash", "amount_cents": 200, "tendered_cents": None}]
    assert (ticket["lines"][0]["label"], ticket["lines"][0]["weight_grams"]) == ("Tapis sport", 250)


async def test_the_notebooks_category_names_are_kept_as_roots(shop, notebook):
    await bring_in(shop, notebook)
    categories = await shop.get("/categories")
    assert {category["parent_id"] for category in categories} == {None}
    assert {category["name"] for category in categories} == {
        "Déco", "Divers", "Textile", "Électroménager", "Électronique/Audio", "Santé", "Livres", "Jeux", "Meubles",
        "Vaisselle",
    }  # fmt: skip


async def test_closing_the_import_publishes_each_day_once(any_shop, notebook):
    report = await bring_in(any_shop, notebook)
    closed = await any_shop.post(f"/imports/{report['id']}/close", status=200)
    assert {session["status"] for session in closed["sessions"]} == {"closed"}
    published = [
        (event.business_date, event.sales_cents, event.donations_cents, event.counted_cash_cents, event.variance_cents)
        for event in any_shop.bus.sent
    ]
    assert published == [
        (date(2025, 9, 17), 1800, 0, 1800, 0),
        (date(2025, 9, 18), 1500, 0, 1500, 0),
        (date(2025, 9, 19), 0, 200, 200, 0),
        (date(2025, 9, 20), 1900, 0, 1900, 0),
        (date(2025, 9, 26), 20370, 2000, 22370, 0),
    ]
    assert all(event.deferred and event.opening_float_cents == 0 for event in any_shop.bus.sent)
    assert await any_shop.post(f"/imports/{report['id']}/close", status=200) == closed
    assert len(any_shop.bus.sent) == 5


async def test_the_live_till_goes_on_beside_a_notebook(shop, notebook):
    live = await shop.open(opening_float_cents=5000)
    report = await bring_in(shop, notebook)
    await shop.sell(live, 700)
    await shop.post(f"/imports/{report['id']}/close", status=200)
    found = await shop.get(f"/sessions/{live['id']}")
    assert (found["status"], found["sales_cents"], found["theoretical_cash_cents"]) == ("open", 700, 5700)
    assert [register["name"] for register in await shop.get("/registers")] == ["Caisse 1"]


async def test_the_notebooks_register_is_not_one_to_open_or_sell_at(shop, notebook):
    report = await bring_in(shop, notebook)
    session = report["sessions"][0]
    body = {"register_id": session["register"]["id"], "opening_float_cents": 0}
    assert (await shop.refused("/sessions", body))[:2] == (404, "register_unknown")
    sale = {"donation_cents": 100, "payments": [{"method": "cash", "amount_cents": 100}]}
    assert (await shop.refused(f"/sessions/{session['id']}/tickets", sale))[:2] == (409, "session_deferred")


async def test_a_till_named_like_the_notebook_keeps_its_name(shop, sheet_of):
    await shop.post("/registers", {"name": "Cahier"})
    report = await bring_in(shop, sheet_of(SALE))
    assert report["sessions"][0]["register"]["name"] == "Cahier 2"


async def test_the_same_file_is_imported_once(shop, notebook):
    report = await bring_in(shop, notebook)
    status, code, error = await shop.refused("/import?filename=autre-nom.csv", content=notebook)
    assert (status, code, error["details"]) == (409, "already_imported", {"import_id": report["id"]})
    assert len(await shop.tickets_in_database()) == 48


async def test_of_five_copies_of_a_file_at_once_one_is_imported(any_shop, notebook):
    path = "/api/modules/caisse/import?filename=a.csv"
    answers = await asyncio.gather(*(any_shop.http.post(path, content=notebook) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 4
    assert len(await any_shop.tickets_in_database()) == 48


async def test_a_corrected_copy_of_a_file_books_nothing_twice(shop, sheet_of):
    other = "18/09/25,Vente,Livres,Livre,0.5,,Espèces,"
    await bring_in(shop, sheet_of(SALE, SALE, other))
    report = await bring_in(shop, sheet_of(SALE, SALE, SALE, other.replace(",,E", ",2.00,E")))
    assert [(line["line"], line["status"], line["reasons"]) for line in report["lines"]] == [
        (2, "held", ["in_another_import"]),
        (3, "held", ["in_another_import"]),
        (4, "booked", []),
        (5, "booked", []),
    ]
    decided = await decide(shop, report, 2, reason="le client est revenu")
    assert line_of(decided, 2)["status"] == "booked"


async def test_a_line_without_a_date_is_booked_on_the_day_that_is_decided(shop, notebook):
    report = await bring_in(shop, notebook)
    decided = await decide(shop, report, 19, date="2025-09-20", reason="vu avec Paul")
    line = line_of(decided, 19)
    assert (line["status"], line["date"], line["decided_by"]) == ("booked", "2025-09-20", "Camille")
    assert (line["decided_at"], line["decision_reason"]) == ("2025-10-06T09:00:00Z", "vu avec Paul")
    assert line["reasons"] == ["date_missing"]
    assert (decided["booked"], decided["held"]) == (49, 8)
    [day] = [session for session in decided["sessions"] if session["business_date"] == "2025-09-20"]
    assert (day["sales_cents"], day["theoretical_cash_cents"]) == (2700, 2700)
    assert (await shop.get(f"/tickets/{line['ticket_id']}"))["source"]["line"] == 19


async def test_a_line_without_a_price_is_booked_at_the_price_that_is_decided(shop, notebook):
    report = await bring_in(shop, notebook)
    decided = await decide(shop, report, 29, price_cents=450)
    assert line_of(decided, 29)["price_cents"] == 450
    assert (decided["booked_cents"], decided["total_cents"]) == (28220, 30370)
    day = decided["sessions"][-1]
    assert (day["business_date"], day["sales_cents"], len(decided["sessions"])) == ("2025-09-26", 20820, 5)


async def test_a_line_is_discarded_with_its_reason_and_may_still_be_booked(shop, notebook):
    report = await bring_in(shop, notebook)
    decided = await decide(shop, report, 29, decision="discard", reason="rayé dans le cahier")
    line = line_of(decided, 29)
    assert (line["status"], line["decision_reason"], line["ticket_id"]) == ("discarded", "rayé dans le cahier", None)
    assert (decided["discarded"], decided["held"]) == (1, 8)
    path = f"/imports/{report['id']}/lines/29"
    assert (await shop.refused(path, {"decision": "discard"}))[:2] == (409, "line_discarded")
    booked = await decide(shop, report, 29, price_cents=100)
    assert line_of(booked, 29)["status"] == "booked"


@pytest.mark.parametrize(
    ("line", "decision", "reasons"),
    [
        (",Vente,Livres,Livre,0.5,3.00,Espèces,", {}, ["date_missing"]),
        (",Vente,Livres,Livre,0.5,3.00,Espèces,", {"date": "2025-10-07"}, ["date_in_future"]),
        (",Vente,Livres,Livre,0.5,3.00,Espèces,", {"date": "1999-12-31"}, ["date_implausible"]),
        ("17/09/25,Vente,Livres,Livre,0.5,,Espèces,", {}, ["price_missing"]),
        ("17/09/25,Vente,Livres,Livre,0.5,,Espèces,", {"price_cents": 0}, ["price_zero"]),
        ("17/09/25,Vente,Livres,Livre,0.5,3.00,Troc,", {}, ["method_missing"]),
        ("17/09/25,Vente,Livres,Livre,0.5,3.00,Troc,", {"method": "free"}, ["method_contradicts_price"]),
        ("17/09/25,Recyclage,Livres,Livre,0.5,0.00,Gratuit,", {}, ["type_missing"]),
        (",,,,,,,à voir", {}, ["date_missing", "type_missing", "price_missing", "method_missing"]),
    ],
)
async def test_a_decision_that_leaves_a_doubt_is_refused_and_the_line_stays_held(
    shop, sheet_of, line, decision, reasons
):
    report = await bring_in(shop, sheet_of(line))
    path = f"/imports/{report['id']}/lines/2"
    status, code, error = await shop.refused(path, {"decision": "book", **decision})
    assert (status, code) == (422, "decision_incomplete")
    assert [field["message"] for field in error["fields"]] == reasons
    assert await shop.get(f"/imports/{report['id']}") == report


async def test_everything_about_a_line_can_be_decided(shop, sheet_of):
    report = await bring_in(shop, sheet_of(",Recyclage,,,lourd,beaucoup,Troc,"))
    decided = await decide(
        shop, report, 2, date="2025-09-18", kind="donation", price_cents=1250, weight_grams=300, category="Divers",
        label="Lot", method="check",
    )  # fmt: skip
    ticket = await shop.get(f"/tickets/{line_of(decided, 2)['ticket_id']}")
    assert (ticket["kind"], ticket["donation_cents"], ticket["payments"][0]["method"]) == ("donation", 1250, "check")
    assert (ticket["lines"][0]["label"], ticket["lines"][0]["category"]["name"]) == ("Lot", "Divers")
    assert ticket["lines"][0]["weight_grams"] == 300


async def test_a_gift_that_cost_something_after_all_becomes_a_donation(shop, sheet_of):
    report = await bring_in(shop, sheet_of(",Don,Livres,Livre,0.5,0.00,Espèces,"))
    assert line_of(report, 2)["kind"] == "gift"
    decided = await decide(shop, report, 2, date="2025-09-18", price_cents=200)
    assert line_of(decided, 2)["kind"] == "donation"
    assert decided["sessions"][0]["donations_cents"] == 200


async def test_a_line_is_decided_once(shop, notebook):
    report = await bring_in(shop, notebook)
    await decide(shop, report, 19, date="2025-09-20")
    for number in (19, 3):
        path = f"/imports/{report['id']}/lines/{number}"
        for decision in ("book", "discard"):
            assert (await shop.refused(path, {"decision": decision}))[:2] == (409, "line_booked")
    assert (await shop.refused(f"/imports/{report['id']}/lines/1", {"decision": "book"}))[:2] == (404, "line_unknown")


async def test_ten_decisions_at_once_book_a_line_once(any_shop, notebook):
    report = await bring_in(any_shop, notebook)
    path = f"/api/modules/caisse/imports/{report['id']}/lines/19"
    body = {"decision": "book", "date": "2025-09-20"}
    answers = await asyncio.gather(*(any_shop.http.post(path, json=body) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    assert len(await any_shop.tickets_in_database()) == 49


async def test_a_line_decided_after_the_close_opens_a_new_session_of_its_day(any_shop, notebook):
    report = await bring_in(any_shop, notebook)
    await any_shop.post(f"/imports/{report['id']}/close", status=200)
    decided = await decide(any_shop, report, 19, date="2025-09-20")
    of_day = [session for session in decided["sessions"] if session["business_date"] == "2025-09-20"]
    assert [(session["status"], session["sales_cents"]) for session in of_day] == [("closed", 1900), ("open", 800)]
    await any_shop.post(f"/imports/{report['id']}/close", status=200)
    assert [event.sales_cents for event in any_shop.bus.sent[5:]] == [800]


async def test_with_everything_decided_the_days_make_the_notebooks_total(shop, notebook):
    report = await bring_in(shop, notebook)
    for line in report["lines"]:
        if line["status"] == "held":
            price = line["price_cents"] if line["price_cents"] is not None else 100
            report = await decide(shop, report, line["line"], date=line["date"] or "2025-09-20", price_cents=price)
    assert (report["booked"], report["held"]) == (57, 0)
    assert sum(session["total_cents"] for session in report["sessions"]) == 30370 + 5 * 100


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not_a_csv"),
        (b"%PDF-1.7\n\x00", "not_a_csv"),
        (b"<html></html>", "not_a_csv"),
        ("Date,Type,Libellé,Poids,Paiement".encode(), "columns_missing"),
    ],
)
async def test_what_is_no_notebook_is_refused_and_leaves_nothing(shop, content, code):
    status, found, error = await shop.refused("/import?filename=x", content=content)
    assert (status, found) == (422, code)
    assert error["message"]
    assert [field["path"] for field in error["fields"]] == (["category", "price"] if code == "columns_missing" else [])
    assert await shop.get("/imports") == []


async def test_a_notebook_in_windows_1252_is_read(shop, notebook):
    report = await bring_in(shop, notebook.decode("utf-8-sig").encode("cp1252"))
    assert line_of(report, 3)["label"] == "Déco"


CELLS = st.one_of(
    st.sampled_from(["17/09/25", "18/09/2025", "Vente", "Don", "Espèces", "CB", "Gratuit", "1.00", "0", "Livres", ""]),
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8),
)
SOUND = st.tuples(
    st.sampled_from(["17/09/25", "18/09/2025"]), st.sampled_from(["Vente", "Don"]), CELLS, CELLS,
    st.sampled_from(["0.1", ""]), st.sampled_from(["1.00", "0", ""]), st.sampled_from(["Espèces", "CB"]), CELLS,
)  # fmt: skip


@pytest.mark.slow  # many notebooks
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.one_of(SOUND.map(list), st.lists(CELLS, max_size=9)), max_size=8))
async def test_whatever_a_notebook_holds_each_line_is_booked_or_held(shop, sheet_of, rows):
    content = sheet_of(*(",".join(row) for row in rows))
    response = await shop.http.post("/api/modules/caisse/import?filename=x.csv", content=content)
    if response.status_code == 409:
        return
    assert response.status_code == 201, response.text
    report = response.json()
    sheet = read_sheet(content, COLUMNS, optional=("notes",))
    lines = [row.line for row in sheet.rows if any(sheet.cell(row, column) for column in COLUMNS)]
    assert [line["line"] for line in report["lines"]] == lines
    assert report["booked"] + report["held"] == report["rows"] == len(lines)
    assert sum(session["total_cents"] for session in report["sessions"]) == report["booked_cents"]
