"""What the client makes of every answer that Paheko gives."""

from __future__ import annotations

from datetime import date

import pytest

from recyclic.modules.paheko.client import PahekoClient, quoted
from recyclic.modules.paheko.double import PahekoServer
from recyclic.modules.paheko.entries import Entry, Line
from recyclic.modules.paheko.errors import PahekoRefusedError, PahekoUnavailableError
from recyclic.modules.paheko.settings import PahekoSettings


@pytest.fixture
async def client(server):
    opened = PahekoClient(PahekoSettings(**server.settings))
    yield opened
    await opened.close()


def entry(reference="RECYCLIC-session-1", day=date(2025, 9, 26), account="530"):
    lines = (Line(account, 4250, "Espèces"), Line("7073", -4250, "Ventes"))
    return Entry(reference, day, "Clôture caisse", "", lines)


async def test_an_entry_is_booked_and_found_by_its_reference(server, client):
    number = await client.book(entry("l'œuf d'or"))
    assert await client.find_transactions("l'œuf d'or") == [number]
    assert await client.find_transactions("autre") == []
    [booked] = server.entries()
    assert (booked.debits, booked.credits, booked.date) == ({"530": 4250}, {"7073": 4250}, date(2025, 9, 26))


async def test_amounts_leave_as_text(server, client):
    await client.book(entry())
    assert [line.get("debit") or line.get("credit") for line in server.posts[0].json()["lines"]] == ["42.50", "42.50"]


async def test_a_reference_cannot_break_out_of_the_look_up(server, client):
    await client.book(entry())
    assert await client.find_transactions("' OR 1=1 --") == []
    assert quoted("a'b\0") == "'a''b'"


async def test_a_refusal_carries_pahekos_own_words(client):
    with pytest.raises(PahekoRefusedError) as caught:
        await client.book(entry(account="530Z"))
    assert caught.value.status == 400
    assert caught.value.text == 'Le compte avec le code "530Z" sur la ligne 1 n\'existe pas.'


@pytest.mark.parametrize(
    ("answer", "unknown"),
    [
        ({"status": 500}, False),
        ({"status": 500, "body": "database is locked", "content_type": "text/plain"}, False),
        ({"status": 502}, True),
        ({"status": 503, "body": '{"error": "x"}', "content_type": "application/json"}, True),
        ({"status": 504}, True),
        ({"status": 200, "body": "<html>Mise à jour</html>"}, True),
        ({"status": 200, "body": "[]", "content_type": "application/json"}, True),
        ({"status": 200, "body": '{"id": "1"}', "content_type": "application/json"}, True),
        ({"status": 200, "body": '{"id": true}', "content_type": "application/json"}, True),
        ({"status": 201, "body": '{"id": 1}', "content_type": "application/json"}, True),
        ({"status": 404, "body": "<html>"}, False),
        ({"status": 400, "body": "<html>"}, False),
        ({"status": 429, "body": '{"error": "x"}', "content_type": "application/json"}, False),
    ],
)
async def test_anything_but_200_json_and_an_id_is_for_later(server, client, answer, unknown):
    server.fail_next(1, **answer)
    with pytest.raises(PahekoUnavailableError) as caught:
        await client.book(entry())
    assert caught.value.outcome_unknown is unknown


async def test_a_redirect_is_never_followed(server, client):
    server.upgrade_pending = True
    with pytest.raises(PahekoUnavailableError, match=r"upgrade\.php: an administrator has to sign in") as caught:
        await client.book(entry())
    assert not caught.value.outcome_unknown
    assert [request.path for request in server.requests] == ["/api/accounting/transaction"]


async def test_a_server_that_is_down_did_not_book(server, client):
    server.refuse_connections()
    with pytest.raises(PahekoUnavailableError, match="cannot be reached") as caught:
        await client.book(entry())
    assert not caught.value.outcome_unknown


async def test_after_a_cut_reply_the_outcome_is_unknown(server, client):
    server.lose_next_reply()
    with pytest.raises(PahekoUnavailableError, match="no answer came") as caught:
        await client.book(entry())
    assert caught.value.outcome_unknown
    assert len(server.entries()) == 1


@pytest.mark.slow  # a real timeout
async def test_after_a_timeout_the_outcome_is_unknown(server):
    client = PahekoClient(PahekoSettings(**server.settings, timeout=1))
    with server.locked(), pytest.raises(PahekoUnavailableError) as caught:
        await client.book(entry())
    await client.close()
    assert caught.value.outcome_unknown


@pytest.mark.parametrize("key", [("nobody", "wrong"), PahekoServer.read_only])
async def test_a_key_that_is_refused_is_for_later(server, key):
    client = PahekoClient(PahekoSettings(url=server.url, user=key[0], password=key[1]))
    with pytest.raises(PahekoUnavailableError, match="403"):
        await client.book(entry())
    await client.close()


async def test_a_look_up_that_is_refused_is_for_later(server, client):
    server.fail_next(1, status=400, body='{"error": "Error in SQL statement"}', content_type="application/json")
    with pytest.raises(PahekoUnavailableError, match="cannot be looked into"):
        await client.find_transactions("x")


async def test_proxies_of_the_environment_are_not_used(server, client, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert await client.book(entry()) == 1
