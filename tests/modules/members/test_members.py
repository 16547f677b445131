"""The roll of members, over HTTP: numbers, duplicates, search, pages, and what the others hear."""

from __future__ import annotations

import asyncio
import json

import pytest

from recyclic.testing import ANY

pytestmark = pytest.mark.modules("members")

MEMBERS = "/api/modules/members/members"


def person(first_name="Zoé", last_name="Lebœuf", **more):
    return {"first_name": first_name, "last_name": last_name, **more}


async def enrol(host, *args, **more):
    response = await host.http.post(MEMBERS, json=person(*args, **more))
    assert response.status_code == 201, response.text
    return response.json()


async def found(host, search):
    response = await host.http.get(MEMBERS, params={"search": search})
    assert response.status_code == 200, response.text
    return [member["last_name"] for member in response.json()["items"]]


async def test_new_member_is_written_down_and_announced(module_host):
    async with module_host.act("enrol") as trace:
        member = await enrol(module_host, email="zoe@example.org", phone="06 12 34 56 78", city="Nîmes")
    assert member["number"] == 1
    assert (member["address"], member["city"]) == (None, "Nîmes")
    trace.emitted(
        "member_created",
        member_id=member["id"],
        number=1,
        first_name="Zoé",
        last_name="Lebœuf",
        email="zoe@example.org",
    ).once()
    trace.nothing_else()
    again = await module_host.http.get(f"{MEMBERS}/{member['id']}")
    assert again.json() == member
    assert member["created_at"].endswith(("Z", "+00:00"))


async def test_numbers_are_consecutive_when_many_join_at_once(module_host):
    async with module_host.act() as trace:
        members = await asyncio.gather(*(enrol(module_host, "Ada", f"Member{n:c}") for n in range(97, 97 + 25)))
    assert sorted(member["number"] for member in members) == list(range(1, 26))
    trace.emitted("member_created", number=ANY).times(25)


async def test_of_two_alike_who_join_at_once_one_is_asked_back(module_host):
    answers = await asyncio.gather(*(module_host.http.post(MEMBERS, json=person()) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


@pytest.mark.parametrize(
    "again",
    [
        person(),
        person("ZOE", "LEBOEUF"),
        person(" zoé ", "Le\u0301boeuf".replace("\u0301", "")),
        person("Lebœuf", "Zoé"),
        person("Yann", "Le Goff", email="ZOE@Example.org"),
    ],
    ids=["same", "capitals without accents", "blanks", "swapped", "same e-mail"],
)
async def test_someone_alike_is_asked_about_first(module_host, again):
    first = await enrol(module_host, email="zoe@example.org")
    async with module_host.act() as trace:
        refused = await module_host.http.post(MEMBERS, json=again)
    assert refused.status_code == 409
    error = refused.json()["error"]
    assert error["code"] == "possible_duplicate"
    assert error["details"]["matches"] == [
        {key: first[key] for key in ("id", "number", "first_name", "last_name", "email")}
    ]
    trace.never("member_created")
    confirmed = await module_host.http.post(MEMBERS, json={**again, "confirm_duplicate": True})
    assert confirmed.status_code == 201
    assert confirmed.json()["number"] == 2, "the refused one used up no number"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"first_name": ""}, "first_name"),
        ({"first_name": "   "}, "first_name"),
        ({"first_name": "123"}, "first_name"),
        ({"first_name": "a" * 101}, "first_name"),
        ({"first_name": "a\x00b"}, "first_name"),
        ({"first_name": None}, "first_name"),
        ({"first_name": 7}, "first_name"),
        ({"last_name": "\ud800x"}, "last_name"),
        ({"email": "zoe"}, "email"),
        ({"email": "zoe@localhost"}, "email"),
        ({"email": "zoe @example.org"}, "email"),
        ({"email": "zoe@example..org"}, "email"),
        ({"email": "zoe@example.org\nBcc: all@example.org"}, "email"),
        ({"phone": "call me"}, "phone"),
        ({"postal_code": "1" * 13}, "postal_code"),
        ({"number": 7}, "number"),
        ({"confirm_duplicate": "perhaps"}, "confirm_duplicate"),
    ],
)
async def test_what_does_not_fit_is_refused_by_field(module_host, wrong, field):
    body = json.dumps({**person(), **wrong})  # httpx itself cannot send half a character
    response = await module_host.http.post(MEMBERS, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert [entry["path"] for entry in response.json()["error"]["fields"]] == [field]
    assert (await module_host.http.get(MEMBERS)).json()["total"] == 0


async def test_empty_optional_fields_count_as_left_out(module_host):
    member = await enrol(module_host, email="  ", phone="", city=None)
    assert (member["email"], member["phone"], member["city"]) == (None, None, None)
    await enrol(module_host, "Someone", "Else", email="")


async def test_text_is_kept_as_it_was_given_but_for_blanks(module_host):
    member = await enrol(module_host, " Jean-  \t François", "<b>O’Neill</b> & fils", address="1 rue d'en bas\n30000")
    assert member["first_name"] == "Jean- François"
    assert member["last_name"] == "<b>O’Neill</b> & fils"
    assert member["address"] == "1 rue d'en bas 30000"


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("", ["D'Arc", "Lebœuf", "Müller-Nuñez", "Percent%Sign", "Under_score"]),
        ("zoe", ["Lebœuf"]),
        ("LEBOEUF", ["Lebœuf"]),
        ("lebœuf zoé", ["Lebœuf"]),
        ("zoe muller", []),
        ("nunez muller", ["Müller-Nuñez"]),
        ("d arc", ["D'Arc", "Under_score"]),
        ("d’arc", ["D'Arc", "Under_score"]),
        ("example.org", ["Müller-Nuñez"]),
        ("3", ["Müller-Nuñez"]),
        ("%", ["Percent%Sign"]),
        ("_", ["Under_score"]),
        ("\\", []),
        ("' OR 1=1 --", []),
        ("'; DROP TABLE members_member; --", []),
        ("\x00", ["D'Arc", "Lebœuf", "Müller-Nuñez", "Percent%Sign", "Under_score"]),
    ],
)
async def test_search_sees_through_accents_and_capitals(module_host, search, names):
    await enrol(module_host, "Zoé", "Lebœuf")
    await enrol(module_host, "Jeanne", "D'Arc")
    await enrol(module_host, "Íñigo", "Müller-Nuñez", email="inigo@example.org")
    await enrol(module_host, "Fifty", "Percent%Sign")
    await enrol(module_host, "Marc", "Under_score")
    assert await found(module_host, search) == names


async def test_pages_show_everyone_once_in_order(module_host):
    for name in ("Éva", "eve", "Zed", "abc", "Abe", "Mia", "mia"):
        await enrol(module_host, name, "Same", confirm_duplicate=True)
    seen, after, pages = [], None, 0
    while pages == 0 or after:
        page = (await module_host.http.get(MEMBERS, params={"limit": 3, **({"after": after} if after else {})})).json()
        assert page["total"] == 7
        seen += [member["first_name"] for member in page["items"]]
        after, pages = page["next"], pages + 1
    assert seen == ["abc", "Abe", "Éva", "eve", "Mia", "mia", "Zed"]
    assert pages == 3


@pytest.mark.parametrize("path", ["nobody", "%00", "..%2f..%2fetc", "'"])
async def test_unknown_member_is_not_found(module_host, path):
    for response in (
        await module_host.http.get(f"{MEMBERS}/{path}"),
        await module_host.http.patch(f"{MEMBERS}/{path}", json={}),
    ):
        assert response.status_code == 404
    assert (await module_host.http.get(MEMBERS, params={"after": "nobody"})).status_code == 404


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 201}, {"limit": "x"}, {"search": "x" * 201}])
async def test_wrong_question_is_refused(module_host, params):
    assert (await module_host.http.get(MEMBERS, params=params)).status_code == 422


async def test_change_writes_what_is_given_and_leaves_the_rest(module_host):
    member = await enrol(module_host, email="zoe@example.org", city="Nîmes")
    changed = await module_host.http.patch(f"{MEMBERS}/{member['id']}", json={"last_name": "Martin", "city": ""})
    assert changed.status_code == 200
    assert {**changed.json(), "updated_at": ""} == {**member, "last_name": "Martin", "city": None, "updated_at": ""}
    assert await found(module_host, "martin") == ["Martin"]
    assert await found(module_host, "leboeuf") == []


async def test_change_into_someone_else_is_asked_about_first(module_host):
    zoe = await enrol(module_host)
    yann = await enrol(module_host, "Yann", "Le Goff", email="yann@example.org")
    url = f"{MEMBERS}/{zoe['id']}"
    refused = await module_host.http.patch(url, json={"email": "Yann@example.org"})
    assert refused.status_code == 409
    assert [match["id"] for match in refused.json()["error"]["details"]["matches"]] == [yann["id"]]
    assert (await module_host.http.get(url)).json() == zoe, "nothing of the refused change was kept"
    confirmed = await module_host.http.patch(url, json={"email": "Yann@example.org", "confirm_duplicate": True})
    assert confirmed.json()["email"] == "Yann@example.org"
    assert (await module_host.http.patch(url, json={"city": "Alès"})).status_code == 200, (
        "alike already, not asked again"
    )


async def test_a_name_cannot_be_cleared(module_host):
    member = await enrol(module_host)
    url = f"{MEMBERS}/{member['id']}"
    assert (await module_host.http.patch(url, json={"last_name": ""})).status_code == 422
    assert (await module_host.http.patch(url, json={"last_name": None})).json()["last_name"] == "Lebœuf"


async def test_the_roll_is_not_for_everyone(module_host):
    assert (await module_host.anonymous.get(MEMBERS)).status_code == 401
    till = module_host.as_user(caisse="admin")
    assert (await till.get(MEMBERS)).status_code == 403
    reader = module_host.as_user(users="read")
    assert (await reader.get(MEMBERS)).status_code == 200
    assert (await reader.post(MEMBERS, json=person())).status_code == 403
