"""Metrics and health of the bus, as an operator's tools read them over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from recyclic import Config, Event, EventBus
from recyclic.core.events.broker import BrokerSettings
from recyclic.errors import BusError, ConfigError
from tests.unit.host.conftest import Quiet, manifest_of

TOKEN = "a token of sixteen letters or more"


class ThingWeighed(Event):
    """A thing was weighed."""

    grams: int


class Scale(Quiet):
    """Weighs, and minds what it has weighed."""

    emits = (ThingWeighed,)

    def register_signals(self, bus: EventBus) -> None:
        """Handle what is emitted."""
        self.bus = bus
        bus.on("thing_weighed", self.mind)

    async def mind(self, grams: int) -> None:
        """Fail for what weighs nothing."""
        if grams == 0:
            raise ValueError("nothing")


@pytest.fixture
def config(config: Config) -> Config:
    return config.model_copy(update={"metrics": config.metrics.model_copy(update={"token": TOKEN})})


SETTINGS = BrokerSettings(max_attempts=2, backoff=0.001, poll=0.01, jitter=False)


@pytest.fixture
async def host(run_host, config):
    async with run_host(("scale", Scale, manifest_of("scale")), config=config, broker_settings=SETTINGS) as host:
        yield host


async def read(host) -> dict[tuple[str, ...], float]:
    response = await host.http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name.removeprefix("recyclic_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def bus_of(host) -> EventBus:
    [module] = host.app.state.lifecycle.running
    return module.instance.bus


async def weigh(host, *grams: int) -> None:
    """Emit, some of it with a transaction, and wait until everything is handled or dead."""
    bus = bus_of(host)
    for each in grams:
        async with host.app.state.database.unit_of_work() as uow:
            await bus.within(uow).emit("thing_weighed", grams=each)
    pair = ("thing_weighed", "scale")
    async with asyncio.timeout(20):
        while True:
            state = (await host.app.state.streams.snapshot([pair])).groups[pair]
            if state.settled and await host.app.state.broker.outbox.depth() == 0:
                return
            await asyncio.sleep(0)


class TestWhoMayRead:
    async def test_token_of_the_configuration_opens(self, host):
        assert await read(host)

    @pytest.mark.parametrize("given", ["Bearer wrong", "Bearer ", "Bearer", f"Basic {TOKEN}"])
    async def test_another_token_does_not(self, host, given):
        response = await host.http.get("/metrics", headers={"Authorization": given})
        assert response.status_code == 401
        assert "recyclic_" not in response.text

    async def test_nobody_reads_without_one(self, host):
        assert (await host.http.get("/metrics")).status_code == 401

    async def test_administrator_may_and_others_may_not(self, host):
        client = await host.sign_in(caisse="admin", config="read")
        assert (await client.get("/metrics")).status_code == 403
        client = await host.sign_in()
        assert (await client.get("/metrics")).status_code == 200

    async def test_without_a_token_in_the_configuration_no_bearer_opens(self, run_host, config):
        bare = config.model_copy(update={"metrics": Config.build().metrics})
        async with run_host(("scale", Scale), config=bare) as host:
            for given in ("Bearer ", "Bearer x"):
                response = await host.http.get("/metrics", headers={"Authorization": given})
                assert response.status_code == 401

    def test_short_token_is_refused_at_the_start(self):
        with pytest.raises(ConfigError, match=r"\[metrics\] token: the token is too short"):
            Config.build(metrics={"token": "short"})


class TestNumbers:
    async def test_counters_tell_what_happened(self, host):
        await weigh(host, 5, 7, 0)
        found = await read(host)
        assert found["events_stored_total", "thing_weighed"] == 3
        assert found["events_emitted_total", "thing_weighed"] == 3
        assert found["events_handled_total", "thing_weighed", "scale"] == 2
        assert found["events_failed_total", "thing_weighed", "scale"] == 2
        assert found["events_retried_total", "thing_weighed", "scale"] == 1
        assert found["events_dead_total", "thing_weighed", "scale"] == 1
        assert found["handlers_seconds_total", "thing_weighed", "scale"] > 0
        for name in ("events_claimed_total", "leases_lost_total", "outbox_resent_total"):
            assert found[name,] == 0

    async def test_reading_twice_counts_nothing_twice(self, host):
        await weigh(host, 5)
        assert (await read(host))["events_handled_total", "thing_weighed", "scale"] == 1
        assert (await read(host))["events_handled_total", "thing_weighed", "scale"] == 1
        await weigh(host, 5)
        assert (await read(host))["events_handled_total", "thing_weighed", "scale"] == 2

    async def test_gauges_tell_how_it_stands(self, host):
        await weigh(host, 5, 0)
        host.app.state.broker.pause("scale")
        bus = bus_of(host)
        await bus.emit("thing_weighed", grams=1)
        found = await read(host)
        assert found["stream_length", "thing_weighed"] == 3
        assert found["stream_over_limit", "thing_weighed"] == 0
        assert found["group_unread", "thing_weighed", "scale"] == 1
        assert found["group_pending", "thing_weighed", "scale"] == 0
        assert found["group_dead_letters", "thing_weighed", "scale"] == 1
        assert 0 <= found["group_oldest_unacked_seconds", "thing_weighed", "scale"] < 20
        assert found["redis_up",] == 1
        assert found["check_failed", "dead_letters"] == 1
        assert found["check_failed", "backlog"] == 0
        assert (found["outbox_depth",], found["outbox_age_seconds",]) == (0, 0)

    async def test_without_redis_the_outbox_is_told_all_the_same(self, host, monkeypatch):
        async def away(*_: Any) -> None:
            raise BusError("away")

        for name in ("probe", "hand_over", "handed_over", "gauges", "persistence"):
            monkeypatch.setattr(host.app.state.streams, name, away)
        bus = bus_of(host)
        async with host.app.state.database.unit_of_work() as uow:
            await bus.within(uow).emit("thing_weighed", grams=5)
        found = await read(host)
        assert (found["redis_up",], found["outbox_depth",]) == (0, 1)
        assert found["outbox_age_seconds",] > 0
        assert not [key for key in found if key[0].startswith("group_")]


class TestHealth:
    async def test_what_is_wrong_is_named(self, host):
        await weigh(host, 0)
        answer: httpx.Response = await host.http.get("/health/ready")
        assert answer.status_code == 200
        assert answer.json()["status"] == "degraded"
        assert answer.json()["reasons"] == ["dead_letters"]
        assert answer.json()["checks"]["dead_letters"] == "failed"
        assert "scale" not in str(answer.json()["checks"])
