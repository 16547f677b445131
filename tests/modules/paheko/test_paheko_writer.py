"""Each closed session stands in Paheko exactly once: whatever dies, is cut off, or runs at the same time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from recyclic.modules.paheko.errors import PahekoUnavailableError
from recyclic.modules.paheko.events import EntryWritten, MemberSyncRequested, SyncRequested

pytestmark = pytest.mark.slow  # concurrency and unknown outcomes


def figures(server):
    return [(entry.reference, entry.debits, entry.credits) for entry in server.entries()]


async def test_a_closed_session_is_booked_and_told(worker, server):
    await worker.close_till(cash=20370, card=1000, check=500, donations=2000, variance=-140)
    [entry] = server.entries()
    assert (entry.date, entry.label) == (date(2025, 9, 26), "Clôture caisse 26/09/2025 — Caisse 1")
    assert entry.debits == {"530": 20230, "5112": 500, "5115": 1000, "658": 140}
    assert entry.credits == {"7073": 19870, "7541": 2000}
    assert worker.bus.emitted == [
        EntryWritten(session_id="s1", reference="RECYCLIC-session-s1", transaction_id=entry.id, amount_cents=21870)
    ]
    row = await worker.entry()
    assert (row.state, row.remote_id, row.attempts, row.amount_cents) == ("written", entry.id, 1, 21870)


async def test_a_redelivered_close_does_nothing_more(worker, server):
    for _ in range(3):
        await worker.close_till(cash=100)
    await worker.sync("s1")
    assert len(server.posts) == len(worker.bus.emitted) == 1


async def test_a_day_of_refunds_swaps_the_accounts(worker, server):
    await worker.close_till(cash=-1500)
    assert figures(server) == [("RECYCLIC-session-s1", {"7073": 1500}, {"530": 1500})]


async def test_a_session_with_nothing_to_book_is_done_without_a_post(worker, server):
    await worker.close_till()
    row = await worker.entry()
    assert (row.state, row.remote_id, row.amount_cents) == ("written", None, 0)
    assert server.requests == []
    assert worker.bus.emitted == []


async def test_forty_handlers_of_four_workers_book_once(any_database_url, server, workers):
    server.latency = 0.005
    async with workers(any_database_url, server.settings, count=4) as four:
        await asyncio.gather(*(four[n % 4].close_till(cash=4250) for n in range(40)))
        told = [event for worker in four for event in worker.bus.emitted]
    assert figures(server) == [("RECYCLIC-session-s1", {"530": 4250}, {"7073": 4250})]
    assert len(told) == 1


async def test_many_sessions_over_several_workers_are_each_booked_once(any_database_url, server, workers):
    async with workers(any_database_url, server.settings, count=3) as three:
        closes = [three[n % 3].close_till(f"s{n % 20}", cash=100 + n % 20) for n in range(60)]
        await asyncio.gather(*closes)
    booked = {entry.reference: entry.debits["530"] for entry in server.entries()}
    assert booked == {f"RECYCLIC-session-s{n}": 100 + n for n in range(20)}
    assert len(server.entries()) == 20


async def test_a_lost_reply_is_found_again_and_not_sent_again(worker, server):
    server.lose_next_reply()
    with pytest.raises(PahekoUnavailableError):
        await worker.close_till(cash=100)
    assert (await worker.entry()).state == "writing"
    assert worker.bus.emitted == []
    await worker.close_till(cash=100)
    assert (await worker.entry()).state == "written"
    assert len(server.entries()) == len(worker.bus.emitted) == 1
    assert worker.clock.waits == []  # it was there at the first look


async def test_after_an_unknown_outcome_the_writer_waits_past_the_servers_busy_time(database_url, server, workers):
    """Trap 10: the client gave up, the server had not begun. Looking up at once finds nothing, and it comes later."""
    async with workers(database_url, {**server.settings, "timeout": 1}) as [worker]:
        real_send = worker.module.client.book

        async def send_while_locked(entry):
            server.lock()
            return await real_send(entry)

        worker.module.client.book = send_while_locked
        with pytest.raises(PahekoUnavailableError):
            await worker.close_till(cash=100)
        worker.module.client.book = real_send
        looks = []
        real_find = worker.module.client.find_transactions

        async def find_past_the_lock(reference):
            looks.append(reference)
            return [] if len(looks) == 1 else await real_find(reference)

        worker.module.client.find_transactions = find_past_the_lock

        def meanwhile():
            server.unlock()
            server.wait_until_idle()

        worker.clock.meanwhile = meanwhile
        await worker.close_till(cash=100)
    assert worker.clock.waits == [15.0]
    assert len(looks) == 2
    assert len(server.entries()) == 1


async def test_a_cut_before_the_server_saw_it_is_sent_again_after_the_wait(worker, server):
    server.fail_next(1, status=504)  # the look-up's own answer
    with pytest.raises(PahekoUnavailableError):
        await worker.close_till(cash=100)
    assert (await worker.entry()).state == "waiting"
    real_send = worker.module.client.book

    async def lost_on_the_way(entry):
        server.fail_next(1, status=504)
        return await real_send(entry)

    worker.module.client.book = lost_on_the_way
    with pytest.raises(PahekoUnavailableError):
        await worker.close_till(cash=100)
    assert (await worker.entry()).state == "writing"
    worker.module.client.book = real_send
    await worker.close_till(cash=100)
    assert worker.clock.waits == [15.0]
    assert len(server.entries()) == 1
    assert (await worker.entry()).attempts == 2


async def test_died_between_post_and_store(worker, server):
    """The process is gone after Paheko answered and before the answer was stored."""

    class DiedError(BaseException):
        pass

    async def die(*_):
        raise DiedError

    worker.module.entries._written = die
    with pytest.raises(DiedError):
        await worker.close_till(cash=100)
    del worker.module.entries._written
    assert ((await worker.entry()).state, len(server.entries())) == ("writing", 1)
    await worker.close_till(cash=100)
    assert ((await worker.entry()).state, len(server.entries()), len(worker.bus.emitted)) == ("written", 1, 1)


async def test_the_event_and_the_state_are_one_transaction(worker, server):
    """If the event cannot be stored, the session is not written either; the next attempt finds it and tells."""
    within, worker.bus.within = worker.bus.within, None
    with pytest.raises(TypeError):
        await worker.close_till(cash=100)
    assert (await worker.entry()).state == "writing"
    worker.bus.within = within
    await worker.close_till(cash=100)
    assert len(worker.bus.emitted) == len(server.entries()) == 1


async def test_a_cancelled_write_stays_in_doubt(worker, server):
    real_send = worker.module.client.book

    arrived = asyncio.Event()

    async def send_while_locked(entry):
        server.lock()
        sending = asyncio.create_task(real_send(entry))
        await asyncio.to_thread(server.wait_for_posts, 1)
        arrived.set()
        return await sending

    worker.module.client.book = send_while_locked
    task = asyncio.create_task(worker.close_till(cash=100))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await worker.entry()).state == "writing"
    server.unlock()
    server.wait_until_idle()
    worker.module.client.book = real_send
    await worker.close_till(cash=100)
    assert len(server.entries()) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        lambda server: setattr(server, "upgrade_pending", True),
        lambda server: server.refuse_connections(),
        lambda server: server.locked_for(requests=1),
        lambda server: server.fail_next(1, status=500),
        lambda server: server.add_credentials(server.user, "changed", 2),
    ],
    ids=["upgrade", "down", "locked", "500", "key"],
)
async def test_what_passes_is_tried_again_later(worker, server, trouble):
    trouble(server)
    with pytest.raises(PahekoUnavailableError) as caught:
        await worker.close_till(cash=100)
    row = await worker.entry()
    assert (row.state, row.last_error) == ("waiting", str(caught.value))
    server.upgrade_pending = False
    server.accept_connections()
    server.add_credentials(server.user, server.password, 2)
    await worker.close_till(cash=100)
    row = await worker.entry()
    assert (row.state, row.last_error, len(server.entries())) == ("written", None, 1)


async def test_an_outage_that_outlasts_the_bus_is_left_to_the_reminder(worker, server):
    server.refuse_connections()
    for attempt in range(1, 5):
        with pytest.raises(PahekoUnavailableError):
            await worker.close_till(cash=100, attempt=attempt)
    await worker.close_till(cash=100, attempt=5)
    assert ((await worker.entry()).state, worker.bus.emitted) == ("waiting", [])
    await worker.module.reminder.ask(untouched_for=1)
    assert worker.bus.emitted == []
    await worker.module.reminder.ask(untouched_for=0)
    assert worker.bus.emitted == [SyncRequested(session_id="s1")]


async def test_of_several_workers_one_asks_again(any_database_url, server, workers):
    server.refuse_connections()
    async with workers(any_database_url, server.settings, count=3) as three:
        with pytest.raises(PahekoUnavailableError):
            await three[0].close_till(cash=100)
        for worker in three:
            worker.clock.time += 300
        await asyncio.gather(*(worker.module.reminder.ask(untouched_for=300) for worker in three))
        asked = [event for worker in three for event in worker.bus.emitted]
    assert asked == [SyncRequested(session_id="s1")]


async def test_a_500_to_the_post_is_tried_again_without_a_wait(worker, server):
    real_send = worker.module.client.book

    async def fail(entry):
        server.fail_next(1, status=500)
        return await real_send(entry)

    worker.module.client.book = fail
    with pytest.raises(PahekoUnavailableError):
        await worker.close_till(cash=100)
    worker.module.client.book = real_send
    await worker.close_till(cash=100)
    assert (worker.clock.waits, len(server.entries())) == ([], 1)


@pytest.mark.parametrize("status", ["closed", "locked"])
async def test_a_locked_year_sets_the_session_aside_with_pahekos_reason(worker, server, status):
    server.set_year(2025, status)
    await worker.close_till(cash=100)
    row = await worker.entry()
    assert (row.state, row.last_error) == ("quarantined", 'Cannot find a valid open year matching "match"')
    await worker.close_till(cash=100)
    assert (len(server.posts), worker.bus.emitted) == (1, [])


async def test_a_named_year_that_is_locked_says_so_in_french(database_url, server, workers):
    year = next(row["id"] for row in server.ledger.years() if row["start_date"].startswith("2025"))
    server.set_year(2025, "locked")
    async with workers(database_url, {**server.settings, "id_year": year}) as [worker]:
        await worker.close_till(cash=100)
        assert (await worker.entry()).last_error == "Impossible de modifier un exercice verrouillé."


async def test_a_session_set_aside_is_booked_when_somebody_asks(worker, server):
    server.set_year(2025, "closed")
    await worker.close_till(cash=100)
    server.set_year(2025, "open")
    await worker.sync("s1")
    row = await worker.entry()
    assert (row.state, row.last_error, row.attempts) == ("written", None, 2)
    assert len(server.entries()) == len(worker.bus.emitted) == 1


async def test_a_refusal_that_was_saved_all_the_same_counts_as_written(worker, server):
    """Trap 2: 400, and the transaction is there."""
    real_send = worker.module.client.book

    async def with_a_wrong_link(entry):
        body = {**entry.body("match"), "linked_users": [9999]}
        return await worker.module.client._ask("POST", "accounting/transaction", json=body)

    worker.module.client.book = with_a_wrong_link
    await worker.close_till(cash=100)
    worker.module.client.book = real_send
    assert ((await worker.entry()).state, len(server.entries())) == ("written", 1)


async def test_a_refusal_that_cannot_be_looked_up_stays_in_doubt(worker, server):
    server.set_year(2025, "closed")
    real_send = worker.module.client.book

    async def go_down_after(entry):
        try:
            return await real_send(entry)
        finally:
            server.refuse_connections()

    worker.module.client.book = go_down_after
    with pytest.raises(PahekoUnavailableError):
        await worker.close_till(cash=100)
    assert (await worker.entry()).state == "writing"


async def test_figures_that_contradict_each_other_are_set_aside_unsent(worker, server):
    await worker.close_till(cash=100, sales_cents=99)
    row = await worker.entry()
    assert (row.state, row.amount_cents) == ("quarantined", None)
    assert "an entry would not balance" in row.last_error
    assert server.requests == []


async def test_an_entry_that_is_already_there_is_taken_over(worker, server):
    """The shop's database was restored from yesterday's copy."""
    await worker.close_till(cash=100)
    async with worker.database.unit_of_work() as uow:
        await uow.session.delete(await uow.session.get_one(type(await worker.entry()), "s1"))
    await worker.close_till(cash=100)
    assert ((await worker.entry()).remote_id, len(server.entries())) == (server.entries()[0].id, 1)


async def test_a_sync_of_a_session_never_closed_does_nothing(worker, server):
    await worker.sync("never")
    assert (await worker.entry("never"), server.requests) == (None, [])


async def test_without_a_url_sessions_wait_and_are_sent_once_there_is_one(database_url, server, workers):
    async with workers(database_url, {}) as [unconfigured]:
        await unconfigured.close_till("s1", cash=100)
        await unconfigured.sync("s1")
        await unconfigured.join(email=None)
        assert ((await unconfigured.entry()).state, unconfigured.bus.emitted) == ("waiting", [])
    async with workers(database_url, server.settings) as [worker]:
        assert worker.bus.emitted == [SyncRequested(session_id="s1"), MemberSyncRequested(member_id="m1")]
        assert server.requests == []
        await worker.sync("s1")
        await worker.sync_member("m1")
        assert ((await worker.entry()).state, (await worker.member("m1")).state) == ("written", "written")


async def test_starting_needs_no_network(database_url, server, workers):
    settings = server.settings
    server.refuse_connections()
    async with workers(database_url, settings) as [worker]:
        assert worker.bus.emitted == []


CHILD = """
import asyncio, runpy, sys

run_workers = runpy.run_path(sys.argv[3])["run_workers"]

async def main():
    async with run_workers(sys.argv[1], {"url": sys.argv[2], "user": "recyclic", "password": "secret"}) as [worker]:
        await worker.close_till(cash=100)

asyncio.run(main())
"""


@pytest.mark.slow
async def test_a_killed_process_leaves_neither_a_lock_nor_a_second_entry(any_database_url, server, workers):
    """SIGKILL while the POST is under way: the server books it afterwards, the next worker finds it."""
    real = server._api._route

    def kill_at_the_post(method, path, params, body, level):
        if path == "accounting/transaction":
            os.kill(child.pid, signal.SIGKILL)
        return real(method, path, params, body, level)

    server._api._route = kill_at_the_post
    helpers = str(Path(__file__).with_name("conftest.py"))
    command = [sys.executable, "-c", CHILD, any_database_url, server.url, helpers]
    child = await asyncio.to_thread(subprocess.Popen, command)
    assert await asyncio.to_thread(child.wait, 60) == -signal.SIGKILL
    server._api._route = real
    async with workers(any_database_url, server.settings) as [worker]:
        assert worker.bus.emitted == [SyncRequested(session_id="s1")]
        assert (await worker.entry()).state == "writing"
        async with asyncio.timeout(10):
            await worker.sync("s1")
        assert (await worker.entry()).state == "written"
    assert figures(server) == [("RECYCLIC-session-s1", {"530": 100}, {"7073": 100})]


@pytest.mark.slow
@pytest.mark.parametrize("any_database_url", ["postgresql"], indirect=True)
async def test_a_writer_whose_lock_broke_away_does_not_send(any_database_url, server, workers):
    """On PostgreSQL the lock lives in a connection; when that is cut, another may write already."""
    async with workers(any_database_url, server.settings) as [worker]:
        real_find = worker.module.client.find_transactions

        async def cut_meanwhile(reference):
            async with worker.database.unit_of_work() as uow:
                await uow.session.execute(
                    text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
                )
            return await real_find(reference)

        worker.module.client.find_transactions = cut_meanwhile
        with pytest.raises(DBAPIError):
            await worker.close_till(cash=100)
        assert server.posts == []
        worker.module.client.find_transactions = real_find
        await worker.close_till(cash=100)
        assert len(server.entries()) == 1
