"""Randomized cascades: leaving an act waits for all of them, however they branch, fail and dawdle, in 1 to 3 processes.

`make soak` runs 2000 of them on the fake and 2000 on a server, `make test` 50 on each.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from dataclasses import dataclass, field

import pytest
from fastapi import BackgroundTasks

from recyclic import Event, ModuleBase
from recyclic.core.events.event import EventMeta
from recyclic.testing import boot_modules

pytestmark = pytest.mark.slow  # real processes, many times

RUNS = int(os.environ.get("SOAK_RUNS", "100"))
SEED = int(os.environ.get("SOAK_SEED", "20251124"))
STAGES = ("first_done", "second_done", "third_done")


class FirstDone(Event):
    run: int
    tree: dict


class SecondDone(FirstDone):
    pass


class ThirdDone(FirstDone):
    pass


@dataclass
class Tree:
    """One event of a cascade: what its handler does, and what it emits."""

    stage: int
    ms: float
    fails: int
    within: bool
    dawdle: float
    late: bool
    children: list[Tree] = field(default_factory=list)

    @classmethod
    def grow(cls, rng: random.Random, stage: int = 0) -> Tree:
        slow = rng.random() < 0.25
        tree = cls(
            stage=stage,
            ms=rng.uniform(0, 60) if slow else 0.0,
            fails=rng.choice((0, 0, 0, 0, 0, 1, 2)),
            within=rng.random() < 0.3,
            dawdle=rng.uniform(0, 0.06),
            late=rng.random() < 0.2,
        )
        if stage + 1 < len(STAGES):
            tree.children = [cls.grow(rng, stage + 1) for _ in range(rng.randint(0, 3))]
        return tree

    def plain(self) -> dict:
        values = {key: getattr(self, key) for key in ("stage", "ms", "fails", "within", "dawdle", "late")}
        return {**values, "children": [child.plain() for child in self.children]}

    def count(self, stage: int) -> int:
        return (self.stage == stage) + sum(child.count(stage) for child in self.children)


class CascadeModule(ModuleBase):
    emits = (FirstDone, SecondDone, ThirdDone)

    async def startup(self, app, config):
        self.database = app.state.database
        self.left = set()

    async def shutdown(self):
        pass

    def register_signals(self, bus):
        self.bus = bus
        for stage in STAGES:
            bus.on(stage, self.handle, concurrency=4)

    def register_routes(self, app):
        @app.post("/api/modules/cascade/{run}")
        async def begin(run: int, tree: dict, tasks: BackgroundTasks):
            tasks.add_task(self.emit, run, tree)  # after the response
            return {}

    async def handle(self, meta: EventMeta, run: int, tree: dict):
        await asyncio.sleep(tree["ms"] / 1000)  # work of its own, in real time
        if meta.attempt <= tree["fails"]:
            raise OSError("not yet")
        for child in tree["children"]:
            if tree["late"]:
                task = asyncio.create_task(self.emit(run, child, dawdle=tree["dawdle"]))
                self.left.add(task)
                task.add_done_callback(self.left.discard)
            else:
                await self.emit(run, child)

    async def emit(self, run: int, tree: dict, dawdle: float = 0.0):
        await asyncio.sleep(dawdle)  # work of its own, in real time
        if not tree["within"]:
            await self.bus.emit(STAGES[tree["stage"]], run=run, tree=tree)
            return
        async with self.database.unit_of_work() as uow:
            await self.bus.within(uow).emit(STAGES[tree["stage"]], run=run, tree=tree)


@pytest.mark.parametrize(
    ("backend", "workers", "share"),
    [("fake", 0, 0.5), ("server", 0, 0.1), ("server", 1, 0.2), ("server", 2, 0.2)],
    ids=["fake", "server", "server and 1 worker", "server and 2 workers"],
)
async def test_no_cascade_is_ever_taken_for_idle(backend, workers, share):
    allow = {"tasks": "some handlers leave tasks behind that emit: they are waited for as well"}
    booted = boot_modules(modules=[CascadeModule], backend=backend, workers=workers, allow=allow, settle_within=60)
    early, events, runs = [], 0, max(1, round(RUNS * share))
    async with booted as host:
        for run in range(runs):
            rng = random.Random(SEED + run)
            trees = [Tree.grow(rng) for _ in range(rng.randint(1, 3))]
            async with host.act(expect_errors=True) as trace:
                asked = [host.http.post(f"/api/modules/cascade/{run}", json=tree.plain()) for tree in trees]
                requests = [asyncio.create_task(one) for one in asked]
                await requests[0]  # the others are in flight when the block is left
            wanted = [sum(tree.count(stage) for tree in trees) for stage in range(len(STAGES))]
            story = trace.story
            done = [
                sum(
                    call.ok and call.delivered.event == name and call.delivered.envelope.data["run"] == run
                    for call in story.calls
                )
                for name in STAGES
            ]
            strangers = [one for one in story.emissions if one.envelope.data["run"] != run]
            events += sum(wanted)
            if done != wanted or strangers:
                early.append((run, done, wanted, len(strangers)))
    told = f"{backend}, {1 + workers} processes, seed {SEED}: {runs} runs, {events} events, {len(early)} false idles"
    sys.stdout.write(f"\n{told}\n")
    assert not early, f"seed {SEED}; (run, handled, wanted, of other runs): {early[:5]}"
