"""Cancellation at random awaits: emits, a host that starts, a host that handles, a host that ends."""

from __future__ import annotations

import asyncio
import gc
import io

import pytest

from drills.load import HANG, PADDING
from recyclic.config import Config
from recyclic.core.app import create_app

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::ResourceWarning",  # cancelled while it is being opened, a connection is left open by the libraries below
)
async def test_hosts_and_emits_cancelled_at_random_awaits_lose_nothing(drill) -> None:
    """Hosts of this process live one after the other, each cut off somewhere; emits are cancelled meanwhile."""
    lives, each = drill.size(full=150, quick=12), drill.size(full=40, quick=40)
    async with drill.running(workers=0, seconds=0.001) as run:
        cancelled = 0
        for _ in range(lives):
            emits = [asyncio.create_task(emit(run)) for _ in range(each)]
            host = Host(run)
            if drill.chance.random() < 0.8:
                await run.until(host.has_begun, "the host handles something")
            await hops(drill.chance.randrange(300))
            for task in drill.chance.sample(emits, each // 2):
                cancelled += task.cancel()
            await host.cut_off()
            for outcome in await asyncio.gather(*emits, return_exceptions=True):
                if isinstance(outcome, Exception):  # and not CancelledError: one may be cancelled before it begins
                    raise outcome
        run.start_worker()
        run.fact(f"{lives} hosts cancelled, and {cancelled} emits")
        await run.finish()
    gc.collect()  # so that what is told of is told of here, and not in another test


class Host:
    """A host that handles, in a task of its own that is cancelled somewhere."""

    def __init__(self, run) -> None:
        self._run = run
        self._chance = run.chance
        self._ends = len(run.tally.ends)
        self._app = create_app(Config.load(run.config, {"REDIS_URL": run.redis.url}), serve_ui=False)
        self._task = asyncio.create_task(self._live(), name="drill host")

    def has_begun(self) -> bool:
        return self._task.done() or len(self._run.tally.ends) > self._ends

    async def cut_off(self) -> None:
        """Cancel it, perhaps a second time while it ends, or let its bus crash first."""
        self._run.tally.read()
        held = self._run.redis.pending(self._run.groups)
        self._run.account.in_flight.update(held)
        if self._chance.random() < 0.3 and hasattr(self._app.state, "broker"):
            await self._app.state.broker.crash()
        self._task.cancel()
        if self._chance.random() < 0.5:
            await hops(self._chance.randrange(60))
            self._task.cancel()
        await asyncio.wait([self._task], timeout=HANG)
        assert self._task.done(), f"the cancelled host has not ended in {HANG:g} s; {standing()}"
        if not self._task.cancelled() and (error := self._task.exception()) is not None:
            raise error

    async def _live(self) -> None:
        async with self._app.router.lifespan_context(self._app):
            await asyncio.get_running_loop().create_future()


async def emit(run) -> None:
    """Emit one event; when this is cancelled nobody knows whether it was written."""
    number = run.number()
    run.account.record(number, "unknown")
    try:
        await hops(run.chance.randrange(400))
        await run.host.emit(number, padding=PADDING)
    except asyncio.CancelledError:
        return
    run.account.record(number, "ok")


def standing() -> str:
    """Return where every task of this loop stands."""
    text = io.StringIO()
    for task in asyncio.all_tasks():
        task.print_stack(limit=3, file=text)
    return text.getvalue()


async def hops(count: int) -> None:
    """Let the loop turn so many times, so that what is cancelled next stands at another await each time."""
    for _ in range(count):
        await asyncio.sleep(0)
