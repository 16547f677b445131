"""A new member stands in Paheko once, and a namesake is somebody else."""

from __future__ import annotations

import asyncio

import pytest

from recyclic.modules.paheko.errors import PahekoUnavailableError


async def test_a_new_member_is_added_with_name_email_and_number(worker, server):
    await worker.join()
    [user] = server.users
    assert (user["nom"], user["email"], user["numero"], user["id_category"]) == ("Dupont Ada", "ada@asso.example", 7, 1)
    row = await worker.member("m1")
    assert (row.state, row.remote_id) == ("written", user["id"])


async def test_a_redelivered_member_is_not_added_again(worker, server):
    for _ in range(3):
        await worker.join()
    assert len(server.users) == 1


async def test_concurrent_handlers_add_a_member_once(database_url, server, workers):
    server.latency = 0.005
    async with workers(database_url, server.settings, count=3) as three:
        await asyncio.gather(*(three[n % 3].join() for n in range(12)))
    assert len(server.users) == 1


async def test_a_lost_reply_does_not_make_a_second_member(worker, server):
    server.lose_next_reply()
    with pytest.raises(PahekoUnavailableError):
        await worker.join(email=None)
    await worker.join(email=None)
    assert len(server.users) == 1
    assert (await worker.member("m1")).remote_id == server.users[0]["id"]


async def test_a_member_who_was_already_in_paheko_is_recognised_by_email(worker, server):
    there = server.ledger.add_user({"nom": "Ada D.", "email": "ADA@asso.example"})
    await worker.join()
    assert ((await worker.member("m1")).remote_id, len(server.users)) == (there["id"], 1)


async def test_a_member_who_was_already_in_paheko_is_recognised_by_name(worker, server):
    there = server.ledger.add_user({"nom": "dupont ada"})
    await worker.join()
    assert ((await worker.member("m1")).remote_id, len(server.users)) == (there["id"], 1)


async def test_a_namesake_with_another_email_is_somebody_else(worker, server):
    server.ledger.add_user({"nom": "Dupont Ada", "email": "autre@asso.example"})
    await worker.join()
    assert [user["email"] for user in server.users] == ["autre@asso.example", "ada@asso.example"]


async def test_two_of_our_members_with_one_name_are_two_in_paheko(worker, server):
    await worker.join("m1", email=None, number=7)
    await worker.join("m2", email=None, number=8)
    assert [(user["nom"], user["numero"]) for user in server.users] == [("Dupont Ada", 7), ("Dupont Ada", 8)]
    await worker.join("m2", email=None, number=8)
    assert len(server.users) == 2


async def test_a_number_that_is_taken_is_left_to_paheko(worker, server):
    await worker.join(number=1)
    assert server.users[0]["numero"] == 2


async def test_a_refused_member_is_set_aside_with_the_reason(worker, server):
    await worker.join(first_name="", last_name="")
    row = await worker.member("m1")
    assert (row.state, row.last_error) == ("quarantined", '"Nom, prénom" : ce champ est requis')
    assert server.users == []


async def test_new_members_can_be_put_into_a_category(database_url, server, workers):
    server.ledger.run("INSERT INTO users_categories (name) VALUES ('Bénévoles')")
    async with workers(database_url, {**server.settings, "member_category": 3}) as [worker]:
        await worker.join()
    assert server.users[0]["id_category"] == 3
