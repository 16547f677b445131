"""Connections that are cut, reset, slow, torn in a reply, or half-open: through a TCP proxy."""

from __future__ import annotations

from collections import Counter

import pytest

from drills.drill import LEASE
from drills.proxy import Proxy

pytestmark = pytest.mark.slow

WORDS = (b"", b"XREADGROUP", b"EVALSHA", b"HINCRBY", b"XREAD", b"PING")
"""Commands of a worker that a fault may be waiting for; the first is whatever comes next."""


async def test_cut_connections_lose_nothing_and_repeat_nothing(drill) -> None:
    """Requests and replies are lost at random, replies torn, connections reset: no living process does work twice."""
    events, faults = drill.size(full=5000, quick=500), drill.size(full=150, quick=25)
    async with drill.running(workers=2, seconds=0.005, proxied=True) as run:
        load = run.emitting(events)
        for step in range(1, faults + 1):
            await run.passed(events * step // (faults + 2))
            proxy = drill.chance.choice(run.proxies)
            spoil(drill, proxy, WORDS if proxy is not run.proxies[0] else (b"", b"XADD"))
        await run.through(load)
        for proxy in run.proxies:
            proxy.heal()
        hit = sum((Counter(proxy.faults) for proxy in run.proxies), Counter())
        run.fact("faults that hit: " + ", ".join(f"{kind} {times}" for kind, times in sorted(hit.items())))
        await run.finish()
        assert run.account.in_flight.total() == 0
        assert {"request cut", "reply cut", "reply torn"} <= set(hit)


def spoil(drill, proxy: Proxy, words: tuple[bytes, ...]) -> None:
    """Do one thing to a connection, or to the next command that fits."""
    word = drill.chance.choice(words)
    match drill.chance.randrange(6):
        case 0:
            proxy.cut_request(word)
        case 1 | 2:
            proxy.cut_reply(word)
        case 3:
            proxy.tear_reply(word)
        case 4:
            proxy.reset_all()
        case 5:
            proxy.latency = drill.chance.choice((0.0, 0.01, 0.03))


async def test_half_open_connections_are_given_up(drill) -> None:
    """A worker's connections swallow everything and tell nobody: others take over, and it comes back on new ones."""
    events, holes = drill.size(full=3000, quick=400), drill.size(full=4, quick=1)
    async with drill.running(workers=2, seconds=0.005, proxied=True) as run:
        load = run.emitting(events)
        for step in range(1, holes + 1):
            await run.handled(events * step // (holes + 2))
            victim = await run.a_busy_worker()
            proxy = run.proxies[1 + run.workers.index(victim)]
            proxy.black_hole()
            held = run.redis.pending(run.groups, victim.pid)
            run.account.in_flight.update(held)
            await run.until(
                lambda held=held: all(run.tally.ended[group][number] for group, number in held),
                "what it held is handled",
            )
            proxy.heal()
            before = len(run.tally.begun_by[victim.pid])
            await run.until(
                lambda pid=victim.pid, before=before: len(run.tally.begun_by[pid]) > before or load.done(),
                "it handles something again",
            )
        await run.through(load)
        run.fact(f"{holes} black holes of at least {LEASE:g} s")
        await run.finish()


async def test_emits_into_a_half_open_connection_fail_in_time(drill) -> None:
    """The emitter's connection is forgotten by whatever lies between: what cannot be known is told as an error."""
    async with drill.running(workers=1, seconds=0.0, proxied=True) as run:
        load = run.emitting(50)
        await run.through(load)
        run.proxies[0].black_hole()
        load = run.emitting(20)
        run.proxies[0].heal()
        await run.through(load)
        await run.through(run.emitting(50))
        unknown = run.account.numbers("unknown")
        run.fact(f"{len(unknown)} emits failed with an error, {len(run.account.hung)} hung")
        await run.finish()
