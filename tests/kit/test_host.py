"""The booted host: the same promises on the fake and on a real server."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import BackgroundTasks

from recyclic import Event, ModuleBase
from recyclic.testing import ANY, KitError, SettleError, StrictError, TraceError, boot_modules, faults
from recyclic.testing.flow_record import outcomes


class SaleClosed(Event):
    session_id: str
    total_cents: int


class EntryWritten(Event):
    session_id: str
    amount_cents: int


class TillModule(ModuleBase):
    emits = (SaleClosed,)

    async def startup(self, app, config):
        self.app = app

    async def shutdown(self):
        pass

    def register_signals(self, bus):
        self.bus = bus

    def register_routes(self, app):
        @app.post("/api/modules/till/close/{session_id}")
        async def close(session_id: str):
            async with self.app.state.database.unit_of_work() as uow:
                await self.bus.within(uow).emit("sale_closed", session_id=session_id, total_cents=100)
            return {}

        @app.post("/api/modules/till/later/{session_id}")
        async def later(session_id: str, tasks: BackgroundTasks):
            async def emit():
                await asyncio.sleep(0.01)  # real time, after the response
                await self.bus.emit("sale_closed", session_id=session_id, total_cents=1)

            tasks.add_task(emit)
            return {}

        @app.get("/api/modules/till/broken")
        async def broken():
            raise RuntimeError("the drawer is stuck")


class BooksModule(ModuleBase):
    emits = (EntryWritten,)

    def __init__(self):
        self.lives = 0

    async def startup(self, app, config):
        self.app = app
        self.lives += 1

    async def shutdown(self):
        pass

    def register_signals(self, bus):
        self.bus = bus
        bus.on("sale_closed", self.book)

    async def book(self, session_id: str, total_cents: int, **data):
        await self.bus.emit("entry_written", session_id=session_id, amount_cents=total_cents)


SHOP = (TillModule, BooksModule)


@pytest.fixture(params=["fake", pytest.param("server", marks=pytest.mark.slow)])
def backend(request):
    return request.param


@pytest.fixture
async def host(backend):
    async with boot_modules(modules=SHOP, backend=backend) as host:
        yield host


async def close(host, session_id="a"):
    response = await host.http.post(f"/api/modules/till/close/{session_id}")
    assert response.status_code == 200, response.text
    return response


async def test_leaving_an_act_is_the_wait(host):
    async with host.act("close") as trace:
        response = await close(host)
    sale = trace.emitted("sale_closed", session_id="a").once()
    trace.consumed("sale_closed", by="books").once().ok(attempts=1)
    trace.emitted("entry_written", amount_cents=ANY).once().caused_by(sale).caused_by(response)
    trace.order("sale_closed", "entry_written")
    trace.nothing_else()


async def test_an_act_sees_its_own_events_only(host):
    await close(host, "before")
    async with host.act() as trace:
        await close(host, "within")
    await close(host, "after")
    await host.settle()
    assert [envelope.data["session_id"] for envelope in trace.emitted("sale_closed")] == ["within"]


async def test_what_is_emitted_after_the_response_belongs_to_the_act(host):
    async with host.act() as trace:
        await host.http.post("/api/modules/till/later/a")
    trace.emitted("entry_written", amount_cents=1).once()


async def test_a_request_that_is_still_in_flight_belongs_to_the_act(host):
    async with host.act() as trace:
        request = asyncio.create_task(host.http.post("/api/modules/till/later/a"))
        while not host.door.in_flight:
            await host.journal.next_change(host.journal.version, 1)
    assert request.done()
    trace.emitted("entry_written", amount_cents=1).once()
    await request


async def test_a_task_that_a_handler_left_behind_belongs_to_the_act(backend):
    class HastyModule(BooksModule):
        async def book(self, session_id: str, **data):
            self.left = asyncio.create_task(self.later(session_id))

        async def later(self, session_id):
            await asyncio.sleep(0.3)  # real time, long after the ack
            await super().book(session_id, 5)

    allow = {"tasks": "this is what the test is about"}
    async with boot_modules(modules=[TillModule, HastyModule], backend=backend, allow=allow) as host:
        async with host.act() as trace:
            await close(host)
        trace.emitted("entry_written", amount_cents=5).once()


async def test_retries_take_no_time_and_their_delays_are_known(host):
    before = host.clock.monotonic()
    started = asyncio.get_running_loop().time()
    async with host.act("close", faults.handler("books", "sale_closed", fail=4)) as trace:
        await close(host)
    trace.consumed("sale_closed").ok(attempts=5).retried_after(1, 2, 4, 8).failed("failure 3 of 4", times=4)
    assert host.clock.monotonic() - before == pytest.approx(15)
    assert asyncio.get_running_loop().time() - started < 10


async def test_a_handler_that_waits_for_the_clock_takes_no_time(backend):
    class SlowModule(BooksModule):
        async def book(self, session_id: str, **data):
            await self.app.state.clock.wait(3600)
            await super().book(session_id, 1)

    async with boot_modules(modules=[TillModule, SlowModule], backend=backend) as host:
        async with host.act() as trace:
            await close(host)
        trace.consumed("sale_closed", by="slow").ok(attempts=1)
        assert host.clock.monotonic() >= 3600


async def test_a_dead_letter_that_is_asserted_is_no_failure(host):
    async with host.act("close", faults.handler("books", "sale_closed", fail=5)) as trace:
        await close(host)
    trace.consumed("sale_closed", by="books").dead("it failed in each of 5 attempts", attempts=5)
    trace.never("entry_written")


async def test_errors_that_are_expected_are_no_failure(backend):
    class ClumsyModule(BooksModule):
        async def book(self, **data):
            raise ValueError("never")

    booted = boot_modules(modules=[TillModule, ClumsyModule], backend=backend)
    async with booted as host, host.act(expect_errors=True):
        await close(host)


async def test_a_request_is_the_cause_of_what_came_of_it(host):
    """Each of two requests at once causes its own events, and no others; over the outbox, too."""
    async with host.act() as trace:
        first, second = await asyncio.gather(close(host, "a"), close(host, "b"))
    for response, session in ((first, "a"), (second, "b")):
        sale = trace.emitted("sale_closed", session_id=session).once().caused_by(response).caused_by(response.request)
        entry = trace.emitted("entry_written", session_id=session).once().caused_by(sale).caused_by(response)
        with pytest.raises(TraceError, match=r"^entry_written .* was not caused by POST /api/modules/till/close/"):
            entry.caused_by(second if response is first else first)


@pytest.mark.parametrize("sent", ["my-own-request", "short"])
async def test_a_request_with_an_id_of_the_tests_own_is_the_cause_as_well(host, sent):
    async with host.act() as trace:
        answer = await host.http.post("/api/modules/till/close/a", headers={"x-request-id": sent})
    trace.emitted("sale_closed").caused_by(answer)
    assert str(trace).splitlines()[2].startswith("  +0 s        till emitted sale_closed")
    assert (answer.headers["x-request-id"] == sent) is (sent == "my-own-request")  # the host takes no short ones


async def test_a_crash_between_acts_is_survived(host):
    await close(host)
    await host.crash_worker()
    async with host.act() as trace:
        await close(host, "b")
    trace.consumed("sale_closed", session_id="b").ok()


async def test_redis_away_delays_and_loses_nothing(host):
    async with host.act() as trace, host.faults(faults.redis_down()):
        await close(host)
    trace.consumed("sale_closed").once().ok(attempts=1)
    async with host.act("down for the act's block", faults.redis_down()) as trace:
        await close(host, "b")
        async with asyncio.timeout(5):
            while "Redis is away" not in str(trace):
                await host.journal.next_change(host.journal.version, 1)
    trace.consumed("sale_closed").once().ok(attempts=1)


async def test_a_delivery_can_be_doubled(host):
    async with host.act("close", faults.duplicate("sale_closed", "books")) as trace:
        await close(host)
    trace.emitted("entry_written").times(2)
    assert [outcome.value for _, outcome in outcomes(trace.records)] == ["duplicated", "ok"]


@pytest.mark.parametrize(
    "fault",
    [
        lambda: faults.on("append", lose_reply=True, event="sale_closed"),
        lambda: faults.on("append", error="timeout", times=3),
        lambda: faults.on("ack", error=OSError),
        lambda: faults.on("ack", lose_reply=True),
        lambda: faults.on("read", lose_reply=True),
    ],
)
async def test_an_operation_that_fails_loses_nothing(host, fault):
    async with host.act("close", fault()) as trace:
        await close(host)
    trace.consumed("sale_closed", by="books").ok()
    trace.emitted("entry_written")


async def test_a_paused_module_is_not_waited_for_and_catches_up(host):
    host.pause("books")
    async with host.act("while paused") as trace:
        await close(host)
    trace.never("entry_written")
    async with host.act("go on") as trace:
        host.resume("books")
    trace.consumed("sale_closed", by="books").ok(attempts=1)


async def test_a_module_restarts_alone(host):
    till, books = host.module("till"), host.module("books")
    await host.restart("books")
    assert host.module("till") is till
    assert host.module("books") is not books
    async with host.act() as trace:
        await close(host)
    trace.consumed("sale_closed", by="books").once().ok(attempts=1)


async def test_the_whole_host_restarts(host):
    till = host.module("till")
    await host.restart()
    assert host.module("till") is not till
    async with host.act() as trace:
        await close(host)
    trace.consumed("sale_closed", by="books").once().ok(attempts=1)


async def test_two_hosts_share_nothing(backend):
    async with boot_modules(modules=SHOP, backend=backend) as one, boot_modules(modules=SHOP, backend=backend) as two:
        async with two.act() as trace, one.act() as other:
            await close(one)
        trace.nothing_else()
        other.consumed("sale_closed").once()


async def test_any_declared_event_can_be_emitted_by_the_test(host):
    async with host.act() as trace:
        await host.bus.emit("sale_closed", session_id="x", total_cents=7)
    trace.emitted("entry_written", amount_cents=7)
    trace.emitted("sale_closed").by("test")


async def test_users_have_the_levels_they_are_given(host):
    path = "/api/modules/till/close/a"
    assert (await host.anonymous.post(path)).status_code == 401
    assert (await host.as_user(caisse="read").post(path)).status_code == 403
    assert (await host.as_user(config="write").post(path)).status_code == 200
    await host.settle()
    with pytest.raises(KitError, match=r"as_user\(caise=…\): no such section \(did you mean 'caisse'\?\)"):
        host.as_user(caise="read")
    with pytest.raises(KitError, match="no such level"):
        host.as_user(caisse="wirte")


async def test_a_broken_route_answers_500_as_it_does_to_a_browser(host):
    async with host.act() as trace:
        response = await host.http.get("/api/modules/till/broken")
    assert response.status_code == 500
    assert "GET /api/modules/till/broken → 500" in str(trace)


async def test_acts_do_not_nest(host):
    async with host.act("outer"):
        with pytest.raises(KitError, match="act 'inner' begins inside act 'outer': acts do not nest"):
            async with host.act("inner"):
                pass


async def test_a_second_loop_is_refused(host):
    async def elsewhere():
        await host.settle()

    with pytest.raises(KitError, match="this host lives on another event loop"):
        await asyncio.to_thread(asyncio.run, elsewhere())


async def test_an_exception_in_an_act_wins(host):
    async def act():
        async with host.act("divide"):
            await close(host)
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError) as caught:
        await act()
    assert "books got sale_closed, attempt 1 → ok" in "".join(caught.value.__notes__)


async def test_what_was_not_asked_for_is_refused_with_the_nearest_name(host):
    with pytest.raises(
        KitError, match=r"'boks' is not booted here \(did you mean 'books'\?\); booted are: till, books"
    ):
        host.module("boks")
    with pytest.raises(KitError, match=r"there is no module 'caise' \(did you mean 'caisse'\?\)"):
        async with boot_modules("caise"):
            pass
    with pytest.raises(KitError, match=r"no such operation \(did you mean 'append'\?\)"):
        faults.on("apend")
    with pytest.raises(KitError, match=r"use 'before_handler' or 'emit\.\.ack' or"):
        faults.kill_worker(at="midnight")
    with pytest.raises(KitError, match="unknown backend 'fak'"):
        async with boot_modules(modules=SHOP, backend="fak"):
            pass


async def test_a_fault_is_used_once(host):
    fault = faults.duplicate()
    async with host.act("one", fault):
        await close(host)
    with pytest.raises(KitError, match="was used before"):
        async with host.act("two", fault):
            pass


async def test_a_fault_that_does_not_bite_fails(host):
    with pytest.raises(StrictError, match=r"faults.on\('claim'\) never bit"):
        async with host.act("close", faults.on("claim")):
            await close(host)


async def test_a_module_that_does_not_come_to_rest_is_named(backend):
    gate = asyncio.Event()

    class StuckModule(BooksModule):
        async def book(self, **data):
            await gate.wait()

    async with boot_modules(modules=[TillModule, StuckModule], backend=backend, settle_within=0.3) as host:
        with pytest.raises(SettleError, match="handler of stuck for sale_closed"):
            async with host.act("close"):
                await close(host)
        gate.set()


async def test_a_cascade_under_load_is_never_taken_for_idle(backend):
    class ChainModule(BooksModule):
        async def book(self, session_id: str, total_cents: int, **data):
            await asyncio.sleep(total_cents % 7 / 1000)  # a handler takes real time
            await super().book(session_id, total_cents)

    async with boot_modules(modules=[TillModule, ChainModule], backend=backend) as host:
        for turn in range(15):
            async with host.act() as trace:
                for number in range(10):
                    await host.bus.emit("sale_closed", session_id=f"{turn}-{number}", total_cents=turn + number)
            trace.emitted("sale_closed").times(10)
            trace.consumed("sale_closed").times(10).ok(attempts=1)
            trace.emitted("entry_written").times(10)
            trace.nothing_else()


async def test_real_time_can_be_asked_for(backend):
    async with boot_modules(modules=SHOP, backend=backend, clock="real") as host:
        async with host.act() as trace:
            await close(host)
        trace.consumed("sale_closed").ok(attempts=1)


async def test_an_undeclared_name_in_an_assertion_is_a_failure(host):
    async with host.act() as trace:
        await close(host)
    with pytest.raises(TraceError, match=r"no booted module declares 'sale_close' \(did you mean 'sale_closed'\?\)"):
        trace.never("sale_close")
