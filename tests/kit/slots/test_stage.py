"""The stage: a loop of its own, so that tests of every kind live in one process."""

from __future__ import annotations

import asyncio
import threading

import pytest

from recyclic.testing.slots import BrowserError, Stage, StageError

pytestmark = pytest.mark.slow


async def where() -> tuple[str, asyncio.AbstractEventLoop]:
    return threading.current_thread().name, asyncio.get_running_loop()


def test_calls_run_on_its_own_thread_and_loop(recyclic_stage):
    name, loop = recyclic_stage.run(where)
    assert name != threading.current_thread().name
    assert recyclic_stage.run(where) == (name, loop)
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


async def test_calls_from_an_async_test_are_as_good(recyclic_stage):
    _, loop = recyclic_stage.run(where)
    assert loop is not asyncio.get_running_loop()


@pytest.mark.anyio
async def test_calls_from_an_anyio_test_are_as_good(recyclic_stage):
    _, loop = recyclic_stage.run(where)
    assert loop is not asyncio.get_running_loop()


def test_errors_come_back(recyclic_stage):
    async def fail() -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        recyclic_stage.run(fail)


def test_a_call_without_an_answer_is_given_up_and_ended(recyclic_stage, monkeypatch):
    monkeypatch.setattr("recyclic.testing.slots.stage.LONGEST", 0.05)
    ended = threading.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(StageError, match=r"hang gave no answer in 0.05 seconds and was given up"):
        recyclic_stage.run(hang)
    assert ended.wait(5)


def test_context_manager_is_entered_and_left_in_one_task(recyclic_stage):
    tasks = []

    class Manager:
        async def __aenter__(self):
            tasks.append(asyncio.current_task())
            return "inside"

        async def __aexit__(self, *error):
            tasks.append(asyncio.current_task())

    with recyclic_stage.enter(Manager()) as value:
        assert value == "inside"
    assert tasks[0] is tasks[1]


def test_servers_are_used_again(recyclic_stage):
    async def app(scope, receive, send): ...

    serve = recyclic_stage.served
    with recyclic_stage.enter(serve(app)) as first, recyclic_stage.enter(serve(app)) as beside:
        assert beside != first
    with recyclic_stage.enter(recyclic_stage.served(app)) as again:
        assert again in {first, beside}


def test_a_stage_that_is_not_started_says_so():
    with pytest.raises(StageError, match="use it through the ui_host fixture"):
        Stage().run(where)
    Stage().close()


def test_a_browser_that_died_is_said(recyclic_stage):
    stage = Stage()
    stage.start()
    try:
        stage.run(stage.browser.close)
        with pytest.raises(StageError, match="the browser has ended"):
            stage.run(lambda: stage.browser)
    finally:
        stage.close()


def test_a_browser_that_does_not_start_is_said(monkeypatch):
    monkeypatch.setenv("RECYCLIC_BROWSER", "/bin/false")
    before = set(threading.enumerate())
    with pytest.raises(BrowserError, match="the browser /bin/false does not start"):
        Stage().start()
    assert set(threading.enumerate()) <= before, "nothing is left running"
