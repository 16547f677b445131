"""The category tree comes from the shop's own sheet, as often as it is sent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

SHEET = (Path(__file__).parents[2] / "data" / "categories-2025.csv").read_bytes()
HEADER = "Catégorie racine,Sous-catégorie,Prix minimum (€),Prix maximum (€)"


async def send(shop, content):
    content = content if isinstance(content, bytes) else f"{HEADER}\n{content}".encode()
    return await shop.post("/categories/import", content=content, status=200)


async def tree(shop):
    categories = await shop.get("/categories")
    names = {category["id"]: category["name"] for category in categories}
    return {
        (names.get(category["parent_id"]), category["name"]): (category["min_price_cents"], category["max_price_cents"])
        for category in categories
    }


async def test_the_real_sheet_becomes_the_tree(any_shop):
    report = await send(any_shop, SHEET)
    assert (report["rows"], report["created"], report["refused"]) == (65, 65, 0)
    found = await tree(any_shop)
    assert len([name for name in found if name[0] is None]) == 14
    assert found["Ameublement & Literie", "Canapé"] == (3000, 8000)
    assert found["Bricolage & Outils", "Gants"] == (50, 200)
    assert found["Vaisselle & Cuisine / Maison", "Couvert"] == (20, None)
    assert found["Mobilité douce", "Vélo elliptique, rameur, etc."] == (2000, None)
    assert found["Textiles – Linge – Chaussures", "Jupe longue, robe, pantalon, pull"] == (300, None)
    assert found["Jouets", "Jouets"] == (50, 1000)
    assert found[None, "Jouets"] == (None, None)
    assert ("Luminaires & Décoration", "Boîte à couture") in found


async def test_the_sheet_sent_again_changes_nothing(any_shop):
    await send(any_shop, SHEET)
    before = await any_shop.get("/categories")
    report = await send(any_shop, SHEET.replace(b"\n", b"\r\n"))
    assert (report["created"], report["updated"], report["unchanged"], report["refused"]) == (0, 0, 65, 0)
    assert await any_shop.get("/categories") == before


async def test_a_sheet_sent_five_times_at_once_makes_one_tree(any_shop):
    path = "/api/modules/caisse/categories/import"
    answers = await asyncio.gather(*(any_shop.http.post(path, content=SHEET) for _ in range(5)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert 200 in {answer.status_code for answer in answers}
    assert len(await any_shop.get("/categories")) == 65 + 14


async def test_a_changed_price_updates_its_category_alone(shop):
    await send(shop, SHEET)
    report = await send(shop, SHEET.replace("Canapé,30,80".encode("cp1252"), "Canapé,35,90".encode("cp1252")))
    assert (report["updated"], report["unchanged"]) == (1, 64)
    [line] = [line for line in report["lines"] if line["status"] == "updated"]
    assert (line["line"], line["name"], line["min_price_cents"], line["max_price_cents"]) == (8, "Canapé", 3500, 9000)
    assert (await tree(shop))["Ameublement & Literie", "Canapé"] == (3500, 9000)


async def test_nothing_is_deleted_that_the_sheet_no_longer_names(shop):
    await send(shop, "Livres,BD,1,2\nLivres,Roman,1,2")
    await send(shop, "Livres,BD,1,2")
    assert set(await tree(shop)) == {(None, "Livres"), ("Livres", "BD"), ("Livres", "Roman")}


@pytest.mark.parametrize(
    ("line", "reasons"),
    [
        (",BD,1,2", ["root_missing"]),
        ("Livres,BD,3,2", ["minimum_above_maximum"]),
        ("Livres,BD,cher,2", ["min_price_unreadable"]),
        ("Livres,BD,-1,", ["min_price_negative"]),
        ("Livres,BD,1,99999", ["max_price_implausible"]),
        ("Livres,BD,0.001,", ["min_price_too_precise"]),
        (f"Livres,{'B' * 201},,", ["name_too_long"]),
        ('Livres,"BD,1,2', ["quotes_damaged"]),
    ],
)
async def test_a_line_that_cannot_be_used_is_refused_with_its_number_and_the_others_are_not(shop, line, reasons):
    report = await send(shop, f"Livres,Roman,1,2\n{line}\nLivres,Poche,1,2")
    assert [(found["line"], found["status"], found["reasons"]) for found in report["lines"]] == [
        (2, "created", []),
        (3, "refused", reasons),
        (4, "created", []),
    ]
    assert set(await tree(shop)) == {(None, "Livres"), ("Livres", "Roman"), ("Livres", "Poche")}


async def test_a_category_named_twice_is_taken_once(shop):
    report = await send(shop, "Livres,BD,1,2\nlivres, bd ,3,4")
    assert [line["reasons"] for line in report["lines"]] == [[], ["twice_in_file"]]
    assert (await tree(shop))["Livres", "BD"] == (100, 200)


async def test_a_line_without_a_sub_category_is_the_root_itself(shop):
    await send(shop, "Livres,,1,2\nLivres,BD,,")
    assert await tree(shop) == {(None, "Livres"): (100, 200), ("Livres", "BD"): (None, None)}


async def test_a_ticket_finds_a_child_by_its_name_and_a_root_first(shop):
    await send(shop, "Mobilier,Canapé,30,80\nVrac,Jouets,,\nJouets,Poupée,,")
    session = await shop.open()
    for name, parent in (("canapé", "Mobilier"), ("jouets", None)):
        ticket = await shop.sell(session, 3000, lines=[{"category_name": name, "unit_price_cents": 3000}])
        categories = {category["id"]: category for category in await shop.get("/categories")}
        found = categories[ticket["lines"][0]["category"]["id"]]
        assert (categories.get(found["parent_id"]) or {}).get("name") == parent


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "not_a_csv"), (b"\x89PNG\x00", "not_a_csv"), (b"Categorie racine,Prix minimum", "columns_missing")],
)
async def test_what_is_no_such_sheet_is_refused(shop, content, code):
    assert (await shop.refused("/categories/import", content=content))[:2] == (422, code)
