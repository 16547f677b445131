"""Starting and stopping modules: order, rollback in reverse, errors that name module, step and cause."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

from recyclic import Event, create_app
from recyclic.core import lifecycle
from recyclic.core.manifest import EventsManifest
from recyclic.core.module_base import ModuleBase
from recyclic.core.module_loader import ModuleRegistry
from recyclic.errors import LifecycleError
from tests.unit.host.conftest import Quiet, manifest_of


class Happened(Event):
    """Something happened."""

    what: str


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def recorder(calls):
    """`recorder("a", startup=error)`: a module class that writes down its steps and raises in one of them."""

    def make(name: str, **failing: BaseException) -> type[ModuleBase]:
        def step(what: str) -> None:
            calls.append(f"{name}.{what}")
            if what in failing:
                raise failing[what]

        class Recorder(ModuleBase):
            def register_routes(self, app: FastAPI) -> None:
                step("register_routes")
                router = APIRouter(prefix=f"/api/modules/{name}")
                router.add_api_route("/x", lambda: {"from": name})
                app.include_router(router)

            def register_signals(self, bus) -> None:
                step("register_signals")
                bus.on("happened", self.hear)

            async def hear(self, what: str) -> None: ...

            def register_ui_extensions(self) -> dict[str, list[str]]:
                step("register_ui_extensions")
                return {"sale_details": [f"{name.title()}Panel"]}

            async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
                step("startup")

            async def shutdown(self) -> None:
                step("shutdown")

        return Recorder

    return make


STEPS = ["register_routes", "register_signals", "register_ui_extensions", "startup"]


async def test_each_module_takes_all_steps_before_the_next_and_stops_in_reverse(run_host, recorder, calls):
    async with run_host(("a", recorder("a")), ("b", recorder("b"))) as host:
        assert calls == [f"a.{step}" for step in STEPS] + [f"b.{step}" for step in STEPS]
        client = await host.sign_in()
        assert (await client.get("/api/modules/b/x")).json() == {"from": "b"}
    assert calls[8:] == ["b.shutdown", "a.shutdown"]


@pytest.mark.parametrize("step", STEPS)
async def test_a_failing_step_shuts_down_in_reverse_what_had_started(run_host, recorder, calls, step):
    cause = ValueError("no luck")
    modules = [("a", recorder("a")), ("b", recorder("b")), ("c", recorder("c", **{step: cause})), ("d", recorder("d"))]
    with pytest.raises(LifecycleError) as caught:
        async with run_host(*modules):
            pytest.fail("it must not start")
    assert calls[-2:] == ["b.shutdown", "a.shutdown"]
    assert not any(call.startswith("d.") for call in calls)
    assert "c.shutdown" not in calls
    assert (caught.value.module, caught.value.step) == ("c", step)
    assert caught.value.__cause__ is cause
    assert str(caught.value) == f"c failed in {step}: ValueError: no luck"


async def test_a_module_that_exits_the_process_is_a_failure_like_others(run_host, recorder, calls):
    with pytest.raises(LifecycleError, match="b failed in startup: SystemExit: 3"):
        async with run_host(("a", recorder("a")), ("b", recorder("b", startup=SystemExit(3)))):
            pytest.fail("it must not start")
    assert calls[-1] == "a.shutdown"


async def test_a_failing_shutdown_does_not_keep_the_others_from_stopping(run_host, recorder, calls):
    modules = [
        ("a", recorder("a", shutdown=OSError("x"))),
        ("b", recorder("b")),
        ("c", recorder("c", shutdown=KeyError("y"))),
    ]
    with pytest.raises(LifecycleError) as caught:
        async with run_host(*modules):
            pass
    assert calls[-3:] == ["c.shutdown", "b.shutdown", "a.shutdown"]
    assert caught.value.module == "c"
    assert caught.value.__notes__ == ["a failed in shutdown: OSError: x"]


async def test_a_failing_rollback_is_told_with_the_failure_that_caused_it(run_host, recorder, calls):
    modules = [
        ("a", recorder("a")),
        ("b", recorder("b", shutdown=OSError("x"))),
        ("c", recorder("c", startup=KeyError("y"))),
    ]
    with pytest.raises(LifecycleError) as caught:
        async with run_host(*modules):
            pytest.fail("it must not start")
    assert caught.value.module == "c"
    assert caught.value.__notes__ == ["while rolling back: b failed in shutdown: OSError: x"]
    assert calls[-1] == "a.shutdown"


async def test_a_shutdown_that_hangs_is_left_behind(run_host, recorder, calls, monkeypatch):
    monkeypatch.setattr(lifecycle, "SHUTDOWN_SECONDS", 0.01)

    class Hanging(Quiet):
        async def shutdown(self) -> None:
            await asyncio.Event().wait()

    with pytest.raises(LifecycleError, match="b failed in shutdown: TimeoutError: it took longer than"):
        async with run_host(("a", recorder("a")), ("b", Hanging)):
            pass
    assert calls[-1] == "a.shutdown"


@pytest.mark.parametrize("swallowed", [(), asyncio.CancelledError], ids=["raised", "swallowed"])
async def test_cancelling_the_start_rolls_back(run_host, recorder, calls, swallowed):
    """Even where a module, or a library below, keeps the cancellation to itself."""
    waiting = asyncio.Event()

    class Slow(Quiet):
        async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
            waiting.set()
            with contextlib.suppress(swallowed):
                await asyncio.Event().wait()

    async def run() -> None:
        async with run_host(("a", recorder("a")), ("b", Slow)):
            pytest.fail("it must not start")

    task = asyncio.create_task(run())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls[-1] == "a.shutdown"


async def test_an_app_can_run_twice_with_fresh_instances(config, recorder, calls, run_host):
    built = []

    class Counting(recorder("a")):
        def __init__(self) -> None:
            built.append(self)

    async with run_host(("a", Counting)) as host:
        app = host.app
    assert not any(getattr(route, "path", "").startswith("/api/modules") for route in app.router.routes)
    assert len(built) == 1
    async with app.router.lifespan_context(app):
        assert app.state.lifecycle.running[0].instance is built[1]
    assert len(built) == 2
    assert calls.count("a.shutdown") == 2


async def test_settings_reach_startup_validated_and_wrong_ones_are_a_failure(run_host, config):
    seen = []

    class Settings(BaseModel):
        tries: int = 3

    class Set(Quiet):
        settings = Settings

        async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
            seen.append(config)

    async with run_host(("a", Set), config=config.model_copy(update={"module_settings": {"a": {"tries": "5"}}})):
        assert seen == [{"tries": 5}]
    with pytest.raises(LifecycleError, match=r"a failed in settings: ConfigError: .*\[modules.a\] tries"):
        async with run_host(("a", Set), config=config.model_copy(update={"module_settings": {"a": {"tries": "x"}}})):
            pytest.fail("it must not start")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("async def register_routes(self, app): ...", "a failed in register_routes: register_routes is async"),
        ("async def register_signals(self, bus): ...", "register_signals is async: write it as plain `def`"),
        ("async def register_ui_extensions(self): ...", "register_ui_extensions is async"),
        ("def startup(self, app, config): ...", "startup is not async: write it as `async def`"),
        ("def register_ui_extensions(self): return ['x']", "it must return slot → list of component names"),
        ("def register_ui_extensions(self): return {'x': 'y'}", "it must return slot → list of component names"),
    ],
)
async def test_steps_of_the_wrong_kind_are_told(run_host, body, text):
    space: dict[str, Any] = {"Quiet": Quiet}
    exec(f"class Wrong(Quiet):\n    {body}", space)
    with pytest.raises(LifecycleError) as caught:
        async with run_host(("a", space["Wrong"])):
            pytest.fail("it must not start")
    assert text in str(caught.value)


async def test_what_a_failed_module_had_registered_is_taken_back(run_host, recorder, config):
    app_seen = []

    class Failing(recorder("b")):
        async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
            app_seen.append(app)
            raise OSError("x")

    with pytest.raises(LifecycleError):
        async with run_host(("a", recorder("a")), ("b", Failing)):
            pytest.fail("it must not start")
    (app,) = app_seen
    assert not any("/api/modules/" in str(getattr(route, "path", route)) for route in app.router.routes)
    assert app.state.broker.subscriptions == ()


async def test_the_bus_a_module_gets_knows_its_group_and_events(run_host):
    heard = asyncio.Event()

    class Emitter(Quiet):
        emits = (Happened,)

        def register_signals(self, bus) -> None:
            self.bus = bus

    class Listener(Quiet):
        def register_signals(self, bus) -> None:
            bus.on("happened", self.hear)

        async def hear(self, what: str) -> None:
            heard.set()

    listener = manifest_of("b", events=EventsManifest(consumes=("happened",), group="b_group"))
    async with run_host(("a", Emitter), ("b", Listener, listener)) as host:
        assert [item.group for item in host.app.state.broker.subscriptions] == ["b_group"]
        await host.app.state.registry.get("a").instance.bus.emit("happened", what="x")
        async with asyncio.timeout(5):
            await heard.wait()


async def test_without_consuming_nothing_is_handled(run_host):
    async with run_host(("a", Quiet), consume=False) as host:
        assert host.app.state.broker.consumer is None


def test_create_app_opens_nothing(config, monkeypatch):
    app = create_app(config, registry=ModuleRegistry())
    assert not config.data_dir.exists()
    assert not hasattr(app.state, "database")
