"""simulate(): events through an isolated host, and the verdict on who was reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from recyclic.config import Config
from recyclic.testing.simulate import Outcome, Reach, Simulation, SimulationError, percentile, simulate

MODULES = Path(__file__).parent / "modules"


@pytest.fixture
def config(tmp_path):
    modules = {"enabled": ["simulated_boxes"], "path": [MODULES]}
    return Config.build(data_dir=tmp_path / "data", modules=modules)


@pytest.fixture(params=["fake", pytest.param("server", marks=pytest.mark.slow)])
def plan(request):
    return lambda **fields: Simulation(event="box_opened", backend=request.param, **fields)


async def test_every_event_reaches_its_handler_exactly_once(config, plan):
    seen = []
    outcome = await simulate(config, plan(times=5), seen.append)
    assert outcome.verdict == ("every box_opened reached simulated_boxes exactly once",)
    assert outcome.exit_code == 0
    assert {event: len(ids) for event, ids in outcome.emitted.items()} == {"box_opened": 5, "box_counted": 5}
    assert [each.kind for each in seen].count("handled") == 5


async def test_first_handlings_fail_and_are_retried(config, plan):
    outcome = await simulate(config, plan(times=4, fail={"simulated_boxes": 2}))
    (reach,) = outcome.reaches.values()
    assert (reach.retried, sum(reach.handled.values()), reach.dead) == (2, 4, [])
    assert outcome.reached


async def test_dead_letter_is_a_verdict_of_its_own(config, plan):
    outcome = await simulate(config, plan(times=1, fail={"simulated_boxes": 3}))
    assert outcome.verdict == ("1 of 1 box_opened did not reach simulated_boxes, 1 of them in the dead letters",)
    assert outcome.exit_code == 1


async def test_same_seed_sends_the_same_payloads(config):
    assert await sent(config, 3) == await sent(config, 3)
    assert await sent(config, 3) != await sent(config, 4)


async def sent(config, seed):
    happenings = []
    await simulate(config, Simulation(event="box_opened", times=3, seed=seed, backend="fake"), happenings.append)
    return [each.data for each in happenings if each.kind == "emitted" and each.event == "box_opened"]


async def test_installation_is_not_touched(config, tmp_path):
    await simulate(config, Simulation(event="box_opened", backend="fake"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"event": "box_opend"}, r"no booted module publishes 'box_opend'.*did you mean box_opened"),
        ({"modules": ("boxes",)}, r"there is no module 'boxes'"),
        ({"fail": {"caisse": 1}}, r"caisse does not handle box_opened: it is handled by: simulated_boxes"),
    ],
)
async def test_what_cannot_be_run_says_why(config, fields, text):
    with pytest.raises(SimulationError, match=text):
        await simulate(config, Simulation(**{"event": "box_opened", "backend": "fake", **fields}))


async def test_event_that_nobody_handles_reached_nobody(config):
    outcome = await simulate(config, Simulation(event="box_counted", backend="fake"))
    assert outcome.verdict == ("no booted module handles box_counted: it reached nobody",)
    assert outcome.exit_code == 1


def test_event_handled_twice_is_not_exactly_once():
    reach = Reach("box_opened", "boxes", "boxes", handled={"a": 2, "b": 1})
    outcome = Outcome(
        Simulation(event="box_opened"),
        emitted={"box_opened": ["a", "b"]},
        reaches={("box_opened", "boxes"): reach},
    )
    assert outcome.verdict == ("1 of 2 box_opened reached boxes more than once",)
    assert not outcome.reached


def test_percentile_is_the_nearest_rank():
    values = [float(number) for number in range(1, 21)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99)] == [10.0, 19.0, 20.0]
    assert percentile([], 0.5) == 0.0
