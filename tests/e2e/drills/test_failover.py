"""The Redis of a shop fails over: Sentinels choose another master, a replica takes a dead node's place in a Cluster."""

from __future__ import annotations

import asyncio

import pytest

from drills.drill import Drill
from drills.shop import shop
from recyclic.testing.topologies import Cluster, Sentinels

pytestmark = pytest.mark.slow


async def test_a_shop_behind_sentinels_books_every_session_once(drill: Drill) -> None:
    """The master dies with what its replica never got; the shop's processes go on with the replica as it is."""
    sessions, failovers = drill.size(full=120, quick=24), drill.size(full=4, quick=1)
    sentinels = Sentinels()
    try:
        async with shop(drill, redis_url=sentinels.url) as running:
            for step in range(1, failovers + 1):
                before = len(running.closed)
                closing = running.closing(sessions // failovers)
                await running.sessions_closed(before + sessions // failovers // 4)
                master = sentinels.master
                [replica] = [server for server in sentinels.data if server is not master]
                replica.ask("REPLICAOF", "127.0.0.1", 1)  # the master is alone with what it acknowledges from here on
                closed, booked = len(running.closed), running.booked().total()
                await running.sessions_closed(closed + 3)
                await running.until(lambda booked=booked: running.booked().total() > booked, "a session booked")
                master.kill()
                await asyncio.to_thread(sentinels.master_becomes_other_than, master)
                await running.until(closing.done, "every session closed")
                await closing
                if step < failovers:
                    master.start()
                    await asyncio.to_thread(
                        replica.until, lambda replica=replica: replica.ask("ROLE")[2], "replica of the new master"
                    )
            running.facts.append(f"{failovers} masters killed, each alone with its last sessions")
            await running.finish()
            assert running.refused == 0, "a till had to wait for Redis"
    finally:
        sentinels.stop()


async def test_a_shop_on_a_cluster_whose_nodes_die_books_every_session_once(drill: Drill) -> None:
    """The nodes that have the shop's streams die one after the other; replicas take their places."""
    sessions, deaths = drill.size(full=120, quick=24), drill.size(full=4, quick=1)
    cluster = Cluster(replicas=1)
    try:
        async with shop(drill, redis_url=cluster.url) as running:
            for step in range(1, deaths + 1):
                before = len(running.closed)
                closing = running.closing(sessions // deaths)
                await running.sessions_closed(before + sessions // deaths // 4)
                event = ("sale_closed", "entry_written")[step % 2]
                victim = cluster.owner(f"events:{event}")
                victim.kill()
                await asyncio.to_thread(cluster.owner_becomes_other_than, victim, f"events:{event}")
                victim.start()
                await asyncio.to_thread(cluster.agree)
                await running.until(closing.done, "every session closed")
                await closing
            running.facts.append(f"{deaths} nodes killed")
            await running.finish()
            assert running.refused == 0, "a till had to wait for Redis"
    finally:
        cluster.stop()
