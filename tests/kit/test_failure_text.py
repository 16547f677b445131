"""What the kit prints when a test fails, line by line, on each backend."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from recyclic.core.redis import spawn_server
from recyclic.testing.backends import backend

pytestmark = pytest.mark.slow  # pytest inside pytest

pytest_plugins = ["pytester"]


def block(result, first: str, last: str = "rerun:") -> list[str]:
    """Return the printed lines from `first` to `last`, without pytest's margin."""
    lines = [line.removeprefix("E  ").removeprefix(" ") if line.startswith("E  ") else line for line in result.outlines]
    start = next(i for i, line in enumerate(lines) if line.strip().startswith(first))
    end = next(i for i, line in enumerate(lines[start:], start) if line.strip().startswith(last))
    indent = len(lines[start]) - len(lines[start].lstrip())
    return [line[indent:].rstrip() for line in lines[start : end + 1]]


def test_the_header_names_the_backend_and_its_version(kit):
    result = kit.run("async def test_nothing(module_host): pass")
    result.assert_outcomes(passed=1)
    assert f"recyclic: redis {backend(kit.backend).description}" in result.outlines
    if kit.backend == "fake":
        assert f"recyclic: redis fake (fakeredis {version('fakeredis')})" in result.outlines


def test_a_broken_expectation_prints_the_nearest_miss_and_the_timeline(kit):
    result = kit.run("""
    async def test_close(module_host):
        async with module_host.act("close the till", faults.handler("books", "sale_closed")) as trace:
            await module_host.http.post("/api/modules/till/close/a")
        trace.emitted("entry_written", session_id="b", amount_cents=ANY)
    """)
    result.assert_outcomes(failed=1)
    fault = "faults.handler('books', 'sale_closed', fail=1)"
    assert block(result, "recyclic.testing.errors.TraceError: no entry_written") == [
        (
            "recyclic.testing.errors.TraceError: no entry_written {session_id: 'b', amount_cents: ANY} was emitted; "
            "the nearest of 1, by books, differs in:"
        ),
        "  session_id: wanted 'b'",
        "              got    'a'",
        "  in act 'close the till'",
        "",
        f"timeline of act 'close the till', on {backend(kit.backend).description}:",
        "  +0 s      POST /api/modules/till/close/a → 200",
        "  +0 s        till emitted sale_closed {session_id: 'a', total_cents: 100}",
        f"  +0 s          books got sale_closed, attempt 1 → InjectedError: {fault}, failure 1 of 1, again in 1 s",
        f"  +0 s      ! {fault}: failure 1 of 1",
        "  +1 s          books got sale_closed, attempt 2 → ok",
        "  +1 s            books emitted entry_written {session_id: 'a', amount_cents: 100}",
        "outstanding: nothing",
        f"rerun: pytest test_shop.py::test_close --recyclic-redis={kit.backend}",
    ]


def test_a_plain_assertion_inside_an_act_carries_the_timeline(fake_kit):
    result = fake_kit.run("""
    async def test_close(module_host):
        async with module_host.act("close the till"):
            response = await module_host.http.post("/api/modules/till/close/a")
            assert response.status_code == 201
    """)
    result.assert_outcomes(failed=1)
    assert block(result, "timeline of")[:2] == [
        f"timeline of act 'close the till', on {backend('fake').description}:",
        "  +0 s      POST /api/modules/till/close/a → 200",
    ]
    assert sum("timeline of" in line for line in result.outlines) == 1


def test_a_plain_assertion_after_the_act_gets_the_timeline_as_a_section(fake_kit):
    result = fake_kit.run("""
    async def test_close(module_host):
        await module_host.http.post("/api/modules/till/close/a")
        await module_host.settle()
        assert False
    """)
    result.assert_outcomes(failed=1)
    assert any("- recyclic -" in line for line in result.outlines)
    assert block(result, "timeline, on") == [
        f"timeline, on {backend('fake').description}:",
        "  +0 s      POST /api/modules/till/close/a → 200",
        "  +0 s        till emitted sale_closed {session_id: 'a', total_cents: 100}",
        "  +0 s          books got sale_closed, attempt 1 → ok",
        "  +0 s            books emitted entry_written {session_id: 'a', amount_cents: 100}",
        "outstanding: nothing",
        "rerun: pytest test_shop.py::test_close --recyclic-redis=fake",
    ]


def test_what_does_not_come_to_rest_is_named_with_its_owner(kit):
    result = kit.run(
        """
    class StuckModule(BooksModule):
        async def book(self, **data):
            await asyncio.Event().wait()

    @pytest.mark.modules(TillModule, StuckModule)
    async def test_close(module_host):
        async with module_host.act("close the till"):
            await module_host.http.post("/api/modules/till/close/a")
    """,
        "-o",
        "recyclic_settle_within=3",
    )
    result.assert_outcomes(failed=1)
    assert block(result, "recyclic.testing.errors.SettleError") == [
        "recyclic.testing.errors.SettleError: act 'close the till' did not come to rest within 3 s",
        "",
        f"timeline of act 'close the till', on {backend(kit.backend).description}:",
        "  +0 s      POST /api/modules/till/close/a → 200",
        "  +0 s        till emitted sale_closed {session_id: 'a', total_cents: 100}",
        "  +0 s          stuck got sale_closed, attempt 1 → still running",
        "outstanding:",
        "  handler of stuck for sale_closed",
        f"rerun: pytest test_shop.py::test_close --recyclic-redis={kit.backend}",
    ]


@pytest.mark.parametrize(
    ("mark", "options"),
    [("@pytest.mark.timeout(0.5)", ()), ("@pytest.mark.timeout(timeout=0.5)", ()), ("", ("--timeout=0.5",))],
)
def test_what_is_outstanding_is_told_within_the_test_s_own_timeout(fake_kit, mark, options):
    """pytest-timeout would end the process, or the test, without a word of what is outstanding."""
    fake_kit.pytester.makeconftest("""
    import sys

    def pytest_addoption(parser):  # what pytest-timeout calls its marker, its option and its key
        parser.addoption("--timeout", type=float)
        parser.addini("timeout", "seconds")

    def pytest_configure(config):
        config.addinivalue_line("markers", "timeout(timeout): seconds")
        config.pluginmanager.register(object(), "timeout")
    """)
    result = fake_kit.run(
        f"""
    class StuckModule(BooksModule):
        async def book(self, **data):
            await asyncio.Event().wait()

    @pytest.mark.modules(TillModule, StuckModule)
    {mark}
    async def test_close(module_host):
        async with module_host.act("close the till"):
            await module_host.http.post("/api/modules/till/close/a")
    """,
        *options,
    )
    result.assert_outcomes(failed=1)
    first = "recyclic.testing.errors.SettleError: act 'close the till' did not come to rest within "
    assert block(result, first)[0] == f"{first}90% of the test's own timeout of 0.5 s"
    assert "outstanding:" in block(result, first)


def test_an_unexpected_handler_error_fails_at_the_end_with_its_line(kit):
    result = kit.run("""
    class ClumsyModule(BooksModule):
        fails = 1

        async def book(self, session_id: str, **data):
            if self.fails:
                self.fails -= 1
                raise ValueError("no account")

    @pytest.mark.modules(TillModule, ClumsyModule)
    async def test_close(module_host):
        async with module_host.act("close the till") as trace:
            await module_host.http.post("/api/modules/till/close/a")
        trace.emitted("sale_closed")
    """)
    result.assert_outcomes(passed=1, errors=1)
    place = f"test_shop.py:{kit.line('raise ValueError')}"
    assert block(result, "clumsy failed") == [
        f"clumsy failed at sale_closed: ValueError: no account at {place}",
        "",
        f"timeline, on {backend(kit.backend).description}:",
        "  +0 s      POST /api/modules/till/close/a → 200",
        "  +0 s        till emitted sale_closed {session_id: 'a', total_cents: 100}",
        f"  +0 s          clumsy got sale_closed, attempt 1 → ValueError: no account at {place}, again in 1 s",
        "  +1 s          clumsy got sale_closed, attempt 2 → ok",
        "outstanding: nothing",
        f"rerun: pytest test_shop.py::test_close --recyclic-redis={kit.backend}",
    ]


def test_a_fault_that_never_bit_fails(fake_kit):
    result = fake_kit.run("""
    async def test_close(module_host):
        async with module_host.act("close", faults.handler("books", "sale_closd")):
            await module_host.http.post("/api/modules/till/close/a")
    """)
    result.assert_outcomes(failed=1)
    first = "recyclic.testing.errors.StrictError: "
    assert block(result, first)[0] == (
        f"{first}faults.handler('books', 'sale_closd', fail=1) never bit: nothing that happened was its business"
    )


@pytest.mark.parametrize(
    ("kind", "body", "problem"),
    [
        (
            "handler_errors",
            'raise ValueError("broken")',
            "clumsy failed at sale_closed: ValueError: broken at test_shop.py:{line}",
        ),
        (
            "dead_letters",
            'raise ValueError("broken")',
            "sale_closed became a dead letter of clumsy: it failed in each of 5 attempts",
        ),
        (
            "refused_events",
            "await asyncio.gather(self.bus.emit('entry_written', amount_cents='a lot'), return_exceptions=True)",
            (
                "an emit was refused: clumsy emits entry_written: module clumsy, emit('entry_written'): "
                "session_id: Field required; module clumsy, emit('entry_written'): amount_cents: Input should be"
            ),
        ),
        (
            "tasks",
            "self.left = asyncio.create_task(self.bus.emit('entry_written', session_id='a', amount_cents=1))",
            "a task was left behind: EventBus.emit created at test_shop.py:{line} by clumsy handling sale_closed",
        ),
        (
            "timers",
            "asyncio.get_running_loop().call_later(3600, print)",
            "a timer was left, due in 3600 s: created at test_shop.py:{line} by clumsy handling sale_closed",
        ),
        (
            "sockets",
            "left.extend(socket.socketpair())",
            "a socket was left open: created at test_shop.py:{line} by clumsy handling sale_closed",
        ),
        (
            "threads",
            "threading.Thread(target=stop.wait, name='watcher', daemon=True).start()",
            "a thread outlived the host: 'watcher' at ",
        ),
    ],
)
def test_what_nobody_asked_for_fails_unless_it_is_allowed_with_a_reason(fake_kit, kind, body, problem):
    source = f"""
stop = threading.Event()
left = []

class ClumsyModule(BooksModule):
    async def book(self, **data):
        {body.strip()}

@pytest.mark.modules(TillModule, ClumsyModule)
{{mark}}
async def test_close(module_host):
    await module_host.http.post("/api/modules/till/close/a")

def test_end():
    stop.set()
    for one in left:
        one.close()
"""
    both = {"handler_errors", "dead_letters"}
    kinds = both if kind in both else {kind}
    others = ", ".join(f"{one}='because'" for one in kinds - {kind})
    result = fake_kit.run(source.format(mark=f"@pytest.mark.allow({others})"))
    result.assert_outcomes(passed=2, errors=1)
    expected = problem.format(line=fake_kit.line(body.strip().split("(")[0]))
    assert block(result, expected, "timeline")[0].startswith(expected)
    allowed = ", ".join(f"{one}='because'" for one in sorted(kinds))
    fake_kit.run(source.format(mark=f"@pytest.mark.allow({allowed})")).assert_outcomes(passed=2)


def test_a_connection_to_a_redis_of_its_own_is_named_with_its_line(fake_kit, tmp_path_factory):
    process = spawn_server(tmp_path_factory.mktemp("r"), persistent=False)
    try:
        result = fake_kit.run(
            f"""
        from redis.asyncio import Redis

        class ClumsyModule(BooksModule):
            async def startup(self, app, config):
                self.client = Redis.from_url({process.url!r})
                await self.client.ping()

        kept = []

        @pytest.mark.modules(TillModule, ClumsyModule)
        async def test_close(module_host):
            kept.append(module_host.module("clumsy").client)

        @pytest.mark.modules(TillModule, ClumsyModule)
        @pytest.mark.allow(connections="the client's pool is closed with the process")
        async def test_allowed(module_host):
            kept.append(module_host.module("clumsy").client)

        async def test_end():
            for client in kept:
                await client.connection_pool.disconnect(inuse_connections=True)
        """,
            marks="pytestmark = pytest.mark.asyncio(loop_scope='session')\n",
        )
        result.assert_outcomes(passed=3, errors=1)
        expected = "a Redis connection was left open, to "
        printed = block(result, expected, "timeline")[0]
        assert printed.endswith(f": created at test_shop.py:{fake_kit.line('await self.client.ping')} by the host")
    finally:
        process.stop()
