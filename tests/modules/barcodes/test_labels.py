"""Labels over HTTP: codes of their own, found by a scan, printed on sheets."""

from __future__ import annotations

import asyncio
import re
import zlib

import pytest

pytestmark = pytest.mark.modules("caisse", "barcodes")

LABELS = "/api/modules/barcodes/labels"


def label(**more):
    return {"label": "Fauteuil Voltaire", "price_cents": 12_500, **more}


async def make(host, **more):
    response = await host.http.post(LABELS, json=label(**more))
    assert response.status_code == 201, response.text
    return response.json()


def printed(pdf: bytes) -> list[str]:
    """Return the labels' texts in the order in which they are drawn."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    drawn = b"".join(zlib.decompress(stream) for stream in streams if stream[:1] == b"x")
    return [text.decode() for text in re.findall(rb"\((Chaise \d)\) Tj", drawn)]


async def test_new_label_is_found_by_its_code(module_host):
    made = await make(module_host, category_name="Ameublement & Literie", weight_grams=14_250)
    assert made["code"] == "2000000000015"
    assert (made["category_name"], made["weight_grams"]) == ("Ameublement & Literie", 14_250)
    scanned = await module_host.http.get(f"{LABELS}/2000000000015")
    assert scanned.status_code == 200
    assert scanned.json() == made


@pytest.mark.settings(barcodes={"prefix": 27})
async def test_the_shop_chooses_its_prefix(module_host):
    assert (await make(module_host))["code"].startswith("27")


async def test_codes_are_unique_when_many_are_made_at_once(module_host):
    made = await asyncio.gather(*(make(module_host, label=f"Chaise {n}") for n in range(25)))
    assert len({one["code"] for one in made}) == 25
    assert sorted(int(one["code"][2:12]) for one in made) == list(range(1, 26))


@pytest.mark.parametrize(
    ("scanned", "status", "code"),
    [
        ("2000000000022", 404, "unknown_code"),
        ("3017620422003", 404, "unknown_code"),
        ("2000000000016", 422, "invalid_code"),
        ("200000000001", 422, "invalid_code"),
        ("2000000000015x", 422, "invalid_code"),
        ("' OR 1=1 --", 422, "invalid_code"),
        ("%00", 422, "invalid_code"),
        ("9" * 500, 422, "invalid_code"),
    ],
)
async def test_scan_that_finds_nothing_says_why(module_host, scanned, status, code):
    await make(module_host)
    for suffix in ("", ".svg"):
        response = await module_host.http.get(f"{LABELS}/{scanned}{suffix}")
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"label": ""}, "label"),
        ({"label": " \t"}, "label"),
        ({"label": "x" * 201}, "label"),
        ({"label": "a\x00b"}, "label"),
        ({"label": None}, "label"),
        ({"price_cents": -1}, "price_cents"),
        ({"price_cents": 2.5}, "price_cents"),
        ({"price_cents": "250"}, "price_cents"),
        ({"price_cents": True}, "price_cents"),
        ({"price_cents": 10**20}, "price_cents"),
        ({"weight_grams": -1}, "weight_grams"),
        ({"weight_grams": 10**20}, "weight_grams"),
        ({"code": "2000000000015"}, "code"),
    ],
)
async def test_what_does_not_fit_is_refused_by_field(module_host, wrong, field):
    response = await module_host.http.post(LABELS, json=label(**wrong))
    assert response.status_code == 422
    assert [entry["path"] for entry in response.json()["error"]["fields"]] == [field]


async def test_labels_are_listed_newest_first(module_host):
    for n in range(5):
        await make(module_host, label=f"Chaise {n}")
    first = (await module_host.http.get(LABELS, params={"limit": 3})).json()
    rest = (await module_host.http.get(LABELS, params={"limit": 3, "before": first["next"]})).json()
    names = [one["label"] for one in first["items"] + rest["items"]]
    assert names == [f"Chaise {n}" for n in (4, 3, 2, 1, 0)]
    assert rest["next"] is None
    assert (await module_host.http.get(LABELS, params={"before": "nonsense"})).status_code == 422


async def test_label_is_drawn(module_host):
    made = await make(module_host, label="Lampe <& œuvre>")
    drawn = await module_host.http.get(f"{LABELS}/{made['code']}.svg")
    assert drawn.headers["content-type"].startswith("image/svg+xml")
    assert "Lampe &lt;&amp; œuvre&gt;" in drawn.text


async def test_sheet_is_printed_in_the_order_asked_for(module_host):
    made = [await make(module_host, label=f"Chaise {n}") for n in range(2)]
    ids = [made[1]["id"], made[0]["id"], made[1]["id"]]
    sheet = await module_host.http.get(f"{LABELS}/sheet.pdf", params={"ids": ",".join(ids), "first": 24})
    assert sheet.status_code == 200
    assert sheet.headers["content-type"] == "application/pdf"
    assert "etiquettes.pdf" in sheet.headers["content-disposition"]
    assert printed(sheet.content) == ["Chaise 1", "Chaise 0", "Chaise 1"]
    repeated = await module_host.http.get(f"{LABELS}/sheet.pdf", params={"ids": ids})
    assert printed(repeated.content) == ["Chaise 1", "Chaise 0", "Chaise 1"]


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({}, 422, "invalid_input"),
        ({"ids": ""}, 422, "wrong_number_of_labels"),
        ({"ids": " , ,"}, 422, "wrong_number_of_labels"),
        ({"ids": "x," * 481}, 422, "wrong_number_of_labels"),
        ({"ids": "nothing"}, 404, "unknown_label"),
        ({"ids": "a\x00b"}, 404, "unknown_label"),
        ({"ids": "a", "first": 25}, 422, "invalid_input"),
        ({"ids": "a", "first": 0}, 422, "invalid_input"),
    ],
)
async def test_sheet_that_cannot_be_printed_says_why(module_host, params, status, code):
    response = await module_host.http.get(f"{LABELS}/sheet.pdf", params=params)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


async def test_only_who_may_use_the_till_makes_labels(module_host):
    assert (await module_host.anonymous.get(LABELS)).status_code == 401
    reader = module_host.as_user(caisse="read")
    assert (await reader.get(LABELS)).status_code == 200
    assert (await reader.post(LABELS, json=label())).status_code == 403
