"""What a Paheko server does, pinned row by row; the stand-in must do the same.

Runs against the stand-in, and against a real Paheko as well when all three are set:

    RECYCLIC_TEST_PAHEKO_URL=https://compta.example.org RECYCLIC_TEST_PAHEKO_USER=… RECYCLIC_TEST_PAHEKO_PASSWORD=… \
        pytest tests/modules/paheko/test_paheko_behaviour.py

Use an association made for this: the API cannot delete what the tests book. It needs an open year, the standard French
chart and a key of level write; `…_READ_USER` and `…_READ_PASSWORD` name a read key where there is one.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from recyclic.modules.paheko.double import PahekoServer

pytestmark = pytest.mark.slow  # an HTTP server for each test

REAL = {
    key: os.environ.get(f"RECYCLIC_TEST_PAHEKO_{key}", "")
    for key in ("URL", "USER", "PASSWORD", "READ_USER", "READ_PASSWORD")
}
SERVERS = ["stand-in", *(["real"] if REAL["URL"] and REAL["USER"] and REAL["PASSWORD"] else [])]
JSON = "application/json"


@dataclass
class Paheko:
    """A server under test, and a way to ask it."""

    url: str
    auth: tuple[str, str]
    read_auth: tuple[str, str]
    stand_in: PahekoServer | None
    http: httpx.Client
    tag: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def year(self) -> dict:
        found = [row for row in self.get("accounting/years").json() if row["status"] == 0]
        today = datetime.now(UTC).date().isoformat()
        return next((row for row in found if row["start_date"] <= today <= row["end_date"]), found[0])

    def get(self, path, **params):
        return self.http.get(f"/api/{path}", params=params)

    def post(self, path, body, **options):
        return self.http.post(f"/api/{path}", json=body, **options)

    def body(self, **changes):
        base = {
            "id_year": "match",
            "type": "ADVANCED",
            "date": self.year()["start_date"][:10],
            "label": "Clôture caisse",
            "reference": f"RECYCLIC-test-{self.tag}",
            "lines": [
                {"account": "530", "debit": "42.50", "label": "Espèces"},
                {"account": "7073", "credit": "42.50", "reference": "esp"},
            ],
        }
        return {**base, **changes}

    def book(self, **changes):
        return self.post("accounting/transaction", self.body(**changes))

    def ids(self, reference=None):
        wanted = reference or f"RECYCLIC-test-{self.tag}"
        sql = f"SELECT id FROM acc_transactions WHERE reference = '{wanted}' ORDER BY id"
        return [row["id"] for row in self.get("sql", sql=sql).json()["results"]]


def _serve(name):
    if name == "real":
        auth = (REAL["USER"], REAL["PASSWORD"])
        read = (REAL["READ_USER"], REAL["READ_PASSWORD"])
        with httpx.Client(base_url=REAL["URL"].rstrip("/"), auth=auth, timeout=30, trust_env=False) as http:
            yield Paheko(REAL["URL"].rstrip("/"), auth, read, None, http)
        return
    with PahekoServer() as server:
        auth = (server.user, server.password)
        with httpx.Client(base_url=server.url, auth=auth, timeout=30, trust_env=False) as http:
            yield Paheko(server.url, auth, server.read_only, server, http)


@pytest.fixture(params=SERVERS)
def paheko(request):
    yield from _serve(request.param)


@pytest.fixture
def stand_in():
    """Only the stand-in can be spoiled on demand."""
    yield from _serve("stand-in")


def error(response):
    assert response.headers["content-type"].startswith(JSON)
    return response.json()["error"]


# -- requests


def test_without_credentials_401(paheko):
    response = httpx.get(f"{paheko.url}/api/accounting/years", trust_env=False)
    assert (response.status_code, error(response)) == (401, "No username or password supplied")


def test_wrong_credentials_403(paheko):
    response = httpx.get(f"{paheko.url}/api/accounting/years", auth=("nobody", "wrong"), trust_env=False)
    assert (response.status_code, error(response)) == (403, "Invalid username or password")


def test_a_read_key_may_read_but_not_write(paheko):
    if not paheko.read_auth[0]:
        pytest.skip("set RECYCLIC_TEST_PAHEKO_READ_USER and _READ_PASSWORD to a read key of the real server")
    count = {"sql": "SELECT COUNT(*) AS n FROM acc_transactions"}
    assert httpx.get(f"{paheko.url}/api/sql", params=count, auth=paheko.read_auth, trust_env=False).status_code == 200
    response = paheko.post("accounting/transaction", paheko.body(), auth=paheko.read_auth)
    assert (response.status_code, error(response)) == (403, "You do not have enough rights to make this request")
    assert paheko.ids() == []


def test_json_without_its_content_type_is_read_as_a_form(paheko):
    response = paheko.http.post(
        "/api/accounting/transaction",
        content=httpx.Request("POST", "http://x", json=paheko.body()).content,
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert (response.status_code, error(response)) == (400, "L'ID de l'exercice doit être renseigné.")


# -- accounting/transaction


def test_an_advanced_transaction_is_answered_200_with_amounts_in_cents(paheko):
    response = paheko.book()
    assert response.status_code == 200
    found = response.json()
    assert isinstance(found["id"], int)
    assert (found["type"], found["status"], found["label"]) == (0, 0, "Clôture caisse")
    assert found["reference"] == f"RECYCLIC-test-{paheko.tag}"
    assert found["date"]["date"] == f"{paheko.year()['start_date'][:10]} 00:00:00.000000"
    assert found["url"].endswith(f"acc/transactions/details.php?id={found['id']}")
    lines = [
        (row["account_code"], row["debit"], row["credit"], row["label"], row["reference"]) for row in found["lines"]
    ]
    assert lines == [("530", 4250, 0, "Espèces", None), ("7073", 0, 4250, None, "esp")]
    assert found["lines"][1]["account_label"] == "Ventes de dons en nature"


def test_the_five_lines_of_a_closed_till_are_accepted(paheko):
    lines = [
        {"account": "530", "debit": "120.50", "label": "Espèces"},
        {"account": "5112", "debit": "20.00", "reference": "CHQ-1"},
        {"account": "658", "debit": "0.50"},
        {"account": "7073", "credit": "136.00"},
        {"account": "7541", "credit": "5.00"},
    ]
    found = paheko.book(lines=lines).json()
    assert [(row["debit"], row["credit"]) for row in found["lines"]] == [
        (12050, 0), (2000, 0), (50, 0), (0, 13600), (0, 500),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "number", "debit", "credit"),
    [("REVENUE", 1, "530", "7073"), ("EXPENSE", 2, "658", "530"), ("TRANSFER", 3, "5112", "530")],
)
def test_the_simple_form_takes_amount_debit_and_credit(paheko, word, number, debit, credit):
    simple = {
        "type": word,
        "amount": "42,05",
        "debit": debit,
        "credit": credit,
        "payment_reference": "REF",
        "lines": None,
    }
    found = paheko.book(**simple).json()
    assert found["type"] == number
    assert {(row["account_code"], row["debit"], row["credit"], row["reference"]) for row in found["lines"]} == {
        (debit, 4205, 0, "REF"),
        (credit, 0, 4205, "REF"),
    }


@pytest.mark.parametrize("wanted", ["match", "current", "id"])
def test_the_year_is_an_id_current_or_match(paheko, wanted):
    year = paheko.year()
    response = paheko.book(id_year=year["id"] if wanted == "id" else wanted)
    assert response.json()["id_year"] == year["id"]


def test_years_tell_their_status_and_number_of_transactions(paheko):
    before = paheko.year()
    paheko.book()
    after = next(row for row in paheko.get("accounting/years").json() if row["id"] == before["id"])
    assert {"id", "label", "start_date", "end_date", "status", "id_chart", "nb_transactions"} <= after.keys()
    assert after["nb_transactions"] == before["nb_transactions"] + 1


def test_the_journal_of_a_year_lists_entries_with_lines(paheko):
    new = paheko.book().json()["id"]
    year = paheko.year()["id"]
    journal = paheko.get(f"accounting/years/{year}/journal").json()
    found = next(row for row in journal if row["id"] == new)
    assert [(row["account_code"], row["debit"], row["credit"]) for row in found["lines"]] == [
        ("530", 4250, 0), ("7073", 0, 4250),
    ]  # fmt: skip
    assert any(row["id"] == new for row in paheko.get("accounting/years/current/journal").json())


def test_a_transaction_can_be_read_and_edited_but_not_deleted(paheko):
    new = paheko.book().json()["id"]
    assert paheko.get(f"accounting/transaction/{new}").json()["label"] == "Clôture caisse"
    assert paheko.post(f"accounting/transaction/{new}", {"label": "Corrigé"}).json()["label"] == "Corrigé"
    again = paheko.get(f"accounting/transaction/{new}").json()
    assert (again["label"], len(again["lines"])) == ("Corrigé", 2)
    response = paheko.http.delete(f"/api/accounting/transaction/{new}")
    assert (response.status_code, error(response)) == (400, "Wrong request method")
    assert paheko.http.patch(f"/api/accounting/transaction/{new}").status_code == 405
    assert paheko.get("accounting/transaction/99999999").status_code == 404


def test_sql_selects_with_quotes_doubled(paheko):
    paheko.book(reference=f"l'œuf {paheko.tag}")
    assert len(paheko.ids(f"l''œuf {paheko.tag}")) == 1
    posted = paheko.http.post("/api/sql", data={"sql": "SELECT 1 AS id"}).json()
    assert posted["results"] == [{"id": 1}]
    assert posted["count"] == 1


@pytest.mark.parametrize(
    "sql", ["DELETE FROM acc_transactions", "UPDATE users SET nom = 'x'", "SELECT broken FROM nowhere"]
)
def test_sql_refuses_anything_but_a_correct_select(paheko, sql):
    assert paheko.get("sql", sql=sql).status_code == 400


# -- the table of error answers


def test_unbalanced(paheko):
    lines = [{"account": "530", "debit": "43.50"}, {"account": "7073", "credit": "42.50"}]
    response = paheko.book(lines=lines)
    text = "Écriture non équilibrée : déséquilibre (-1,00) entre débits et crédits"
    assert (response.status_code, error(response)) == (400, text)


def test_unknown_account_names_its_line(paheko):
    lines = [{"account": "530", "debit": "1.00"}, {"account": "530Z", "credit": "1.00"}]
    response = paheko.book(lines=lines)
    assert (response.status_code, error(response)) == (
        400,
        'Le compte avec le code "530Z" sur la ligne 2 n\'existe pas.',
    )


def test_date_outside_the_year(paheko):
    year = paheko.year()
    outside = date.fromisoformat(year["end_date"][:10]) + timedelta(days=10)
    response = paheko.book(id_year=year["id"], date=outside.isoformat())
    assert response.status_code == 400
    start = f"La date ({outside:%d/%m/%Y}) de l'écriture ne correspond pas à l'exercice \"{year['label']}\" : "
    assert error(response).startswith(start)


def test_no_open_year_for_match(paheko):
    response = paheko.book(date="1999-01-01")
    assert (response.status_code, error(response)) == (400, 'Cannot find a valid open year matching "match"')


@pytest.mark.parametrize(("status", "word"), [("closed", "clôturé"), ("locked", "verrouillé")])
def test_a_closed_or_locked_year_takes_nothing(stand_in, status, word):
    year = stand_in.year()
    stand_in.stand_in.set_year(int(year["start_date"][:4]), status)
    body = stand_in.body(id_year=year["id"], date=year["start_date"])
    response = stand_in.post("accounting/transaction", body)
    assert (response.status_code, error(response)) == (400, f"Impossible de modifier un exercice {word}.")
    body = stand_in.body(date=year["start_date"])
    response = stand_in.post("accounting/transaction", body)
    assert (response.status_code, error(response)) == (400, 'Cannot find a valid open year matching "match"')


@pytest.mark.parametrize("amount", [{"amount": "0"}, {}])
def test_an_amount_of_zero_or_none(paheko, amount):
    body = {**paheko.body(type="REVENUE", debit="530", credit="7073"), **amount}
    del body["lines"]
    response = paheko.post("accounting/transaction", body)
    assert (response.status_code, error(response)) == (400, "Montant non précisé")


def test_a_label_holds_200_bytes(paheko):
    text = "Le champ libellé ne peut faire plus de 200 caractères."
    assert paheko.book(label="x" * 200).status_code == 200
    for label in ("x" * 201, "é" * 101):
        response = paheko.book(label=label)
        assert (response.status_code, error(response)) == (400, text)


def test_broken_json(paheko):
    response = paheko.http.post("/api/accounting/transaction", content=b'{"id_year": ', headers={"content-type": JSON})
    assert (response.status_code, error(response)) == (400, "L'ID de l'exercice doit être renseigné.")


def test_unknown_path_404(paheko):
    assert paheko.get("nothing/here").status_code == 404


# -- traps


def test_trap_1_the_same_reference_twice_makes_two(paheko):
    key = {"headers": {"Idempotency-Key": paheko.tag}}
    for _ in range(2):
        assert paheko.post("accounting/transaction", paheko.body(), **key).status_code == 200
    assert len(paheko.ids()) == 2


def test_trap_2_a_wrong_linked_user_answers_400_but_is_saved(paheko):
    response = paheko.book(linked_users=[99999999])
    assert response.status_code == 400
    assert len(paheko.ids()) == 1


def test_trap_3_negative_amounts_turn_positive(paheko):
    lines = [{"account": "530", "debit": "-5.00"}, {"account": "7073", "credit": "-5.00"}]
    found = paheko.book(lines=lines).json()
    assert [(row["debit"], row["credit"]) for row in found["lines"]] == [(500, 0), (0, 500)]


@pytest.mark.parametrize(("sent", "booked"), [(4250, 425000), ("19.999", 1999), ("42.50", 4250), ("42,5", 4250)])
def test_trap_4_numbers_are_euros_and_a_third_decimal_is_cut(paheko, sent, booked):
    lines = [{"account": "530", "debit": sent}, {"account": "7073", "credit": sent}]
    assert [row["debit"] or row["credit"] for row in paheko.book(lines=lines).json()["lines"]] == [booked, booked]


def test_trap_5_an_integer_type_breaks_the_server(paheko):
    assert paheko.book(type=1, amount="5.00", debit="530", credit="7073").status_code == 500
    assert paheko.ids() == []


def test_trap_5_an_iso_datetime_is_refused(paheko):
    assert paheko.book(id_year=paheko.year()["id"], date="2026-11-21T10:00:00+00:00").status_code == 400


def test_trap_5_an_impossible_date_rolls_over(paheko):
    year = paheko.year()
    response = paheko.book(id_year=year["id"], date="1999-13-45")
    assert "(14/02/2000)" in error(response)


def test_trap_6_an_account_of_another_family_makes_it_advanced(paheko):
    response = paheko.book(type="REVENUE", amount="5.00", debit="530", credit="658", lines=None)
    assert (response.status_code, response.json()["type"]) == (200, 0)


def test_trap_7_an_upgrade_redirects_json_and_breaks_forms(stand_in):
    stand_in.stand_in.upgrade_pending = True
    for response in (stand_in.post("accounting/transaction", {}), stand_in.get("sql", sql="SELECT 1")):
        assert (response.status_code, response.headers["location"]) == (302, "/admin/upgrade.php")
    form = stand_in.http.post("/api/accounting/transaction", data={"label": "x"})
    assert (form.status_code, form.headers["content-type"].split(";")[0]) == (500, "text/html")
    followed = stand_in.http.get("/api/accounting/years", follow_redirects=True)
    assert (followed.status_code, followed.headers["content-type"].split(";")[0]) == (200, "text/html")


def test_trap_8_reads_wait_for_the_write_lock_too(stand_in):
    stand_in.stand_in.busy_timeout = 0.01
    with stand_in.stand_in.locked():
        response = stand_in.get("sql", sql="SELECT 1")
    assert (response.status_code, response.text) == (500, "database is locked")
    assert stand_in.get("sql", sql="SELECT 1").status_code == 200


def test_a_lock_that_is_released_in_time_only_delays(stand_in):
    body = stand_in.body()
    stand_in.stand_in.locked_for(0.05)
    assert stand_in.post("accounting/transaction", body).status_code == 200


async def test_trap_9_looking_up_before_each_post_does_not_help_concurrent_writers(paheko):
    """Forty look-ups find nothing before the first POST arrives."""
    body, sql = paheko.body(), f"SELECT id FROM acc_transactions WHERE reference = 'RECYCLIC-test-{paheko.tag}'"
    everyone_looked = asyncio.Barrier(40)

    async def look_up_and_post(http):
        found = (await http.get("/api/sql", params={"sql": sql})).json()["results"]
        await everyone_looked.wait()
        return found or (await http.post("/api/accounting/transaction", json=body)).status_code

    async with httpx.AsyncClient(base_url=paheko.url, auth=paheko.auth, timeout=60, trust_env=False) as http:
        answers = await asyncio.gather(*(look_up_and_post(http) for _ in range(40)))
    assert len(paheko.ids()) == answers.count(200) > 1


def test_trap_10_a_client_that_gave_up_is_booked_all_the_same(stand_in):
    server, body = stand_in.stand_in, stand_in.body()
    with server.locked(), pytest.raises(httpx.ReadTimeout):
        stand_in.post("accounting/transaction", body, timeout=0.2)
    server.wait_until_idle()
    assert len(stand_in.ids()) == 1


def test_a_lost_reply_was_booked(stand_in):
    stand_in.stand_in.lose_next_reply()
    with pytest.raises(httpx.RemoteProtocolError):
        stand_in.book()
    assert len(stand_in.ids()) == 1
    assert stand_in.book().status_code == 200


def test_a_server_that_is_down_refuses_connections(stand_in):
    stand_in.book()
    stand_in.stand_in.refuse_connections()
    with pytest.raises(httpx.ConnectError):
        stand_in.get("accounting/years")
    stand_in.stand_in.accept_connections()
    assert len(stand_in.ids()) == 1


def test_planned_failures_are_answered_before_anything_is_booked(stand_in):
    body = stand_in.body()
    stand_in.stand_in.fail_next(2, status=503, body="<html>")
    assert [stand_in.post("accounting/transaction", body).status_code for _ in range(3)] == [503, 503, 200]
    stand_in.stand_in.locked_for(requests=1)
    assert [stand_in.post("accounting/transaction", body).status_code for _ in range(2)] == [500, 200]
    assert len(stand_in.ids()) == 2


# -- user/new


def member(paheko, **changes):
    return {"nom": f"Dupont {paheko.tag}", "email": f"{paheko.tag}@asso.example", **changes}


def test_a_member_gets_an_id_a_category_and_a_number(paheko):
    response = paheko.post("user/new", member(paheko, numero="pas un nombre"))
    assert response.status_code == 200
    found = response.json()
    assert isinstance(found["id"], int)
    assert isinstance(found["numero"], int)
    assert {"id_category", "nom", "email"} <= found.keys()


def test_the_same_name_is_409_unless_forced(paheko):
    assert paheko.post("user/new", member(paheko)).status_code == 200
    again = member(paheko, email=f"autre-{paheko.tag}@asso.example")
    assert paheko.post("user/new", again).status_code == 409
    assert paheko.post("user/new", {**again, "force_duplicate": 1}).status_code == 200


def test_an_email_or_a_number_in_use_is_400(paheko):
    number = paheko.post("user/new", member(paheko)).json()["numero"]
    assert paheko.post("user/new", member(paheko, nom=f"Autre {paheko.tag}")).status_code == 400
    other = member(paheko, nom=f"Tiers {paheko.tag}", email=f"tiers-{paheko.tag}@asso.example", numero=number)
    assert paheko.post("user/new", other).status_code == 400
