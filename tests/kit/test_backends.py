"""Every backend keeps what the bus needs of it; two that differ are caught."""

from __future__ import annotations

import asyncio

import pytest

from recyclic.core.redis import spawn_server
from recyclic.testing import KitError, StrictError, boot_modules, faults
from recyclic.testing.backends import ContainerBackend, backend
from recyclic.testing.conformance import PROMISES, conformance_tests, keeps
from recyclic.testing.twin import Comparison
from tests.kit.test_host import SHOP, close

pytest_plugins = ["pytester"]

test_the_fake_keeps_every_promise = conformance_tests("fake")
test_a_server_keeps_every_promise = pytest.mark.slow(conformance_tests("server", "twin"))


def run(coroutine):
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:  # nobody else's current loop
        runner.run(coroutine)


@pytest.fixture(scope="module")
def container():
    """Redis in a container, where an engine can be reached; its absence is said, never hidden."""
    try:
        ContainerBackend()  # whether one can be started at all
    except KitError as error:
        pytest.skip(str(error))
    return "container"


@pytest.mark.slow
@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_a_container_keeps_every_promise(container, promise):
    run(keeps(container, promise))


@pytest.mark.slow
def test_a_url_keeps_every_promise(tmp_path_factory, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    process = spawn_server(tmp_path_factory.mktemp("r"), persistent=False)
    try:
        for promise in PROMISES:
            run(keeps(process.url, promise))
    finally:
        process.stop()


def test_a_promise_that_is_broken_fails():
    async def broken(streams):
        assert await streams.beat("one") == {"one": 2}

    with pytest.raises(AssertionError):
        run(keeps("fake", broken))
    with pytest.raises(KitError, match="name a backend"):
        conformance_tests()


@pytest.mark.slow
class TestTwin:
    @pytest.mark.parametrize(
        "fault",
        [
            faults.duplicate,
            faults.kill_worker,
            lambda: faults.handler("books", "sale_closed", fail=5),
            lambda: faults.on("ack", lose_reply=True),
            lambda: faults.reorder(seed=1),
        ],
    )
    async def test_a_host_on_both_behaves_as_on_one(self, fault):
        async with boot_modules(modules=SHOP, backend="twin") as host:
            kind = fault()
            kind.must_bite = False
            async with host.act("close", kind, expect_errors=True) as trace:
                await close(host)
            assert trace.consumed("sale_closed", by="books")
            async with host.act("again") as trace:
                await close(host, "b")
            trace.consumed("sale_closed", by="books", session_id="b").ok(attempts=1)
            assert "twin of server (" in host.timeline

    async def test_the_first_difference_fails_with_the_commands(self):
        """Somebody adds an entry on the server alone: the twin's next look shows it."""

        async def meddle():
            async with boot_modules(modules=SHOP, backend="twin") as host, host.act("close"):
                await close(host)
                await host.life._streams.client.hset("attempts:{events:sale_closed}:books", "1-0", "3")

        with pytest.raises(StrictError) as caught:
            await meddle()
        told = str(caught.value).splitlines()
        assert told[0].startswith("server and fake differ at command ")
        assert told[0].endswith(": the reply has 1 and 0 parts")
        assert told[1] == "  HGETALL attempts:{events:sale_closed}:books"
        assert told[2:5] == ["    server: [b'1-0', b'3']", "    fake:   []", "  the commands before it:"]
        assert any(line.startswith("timeline of act 'close', on twin of server (") for line in told)

    def test_ids_are_compared_as_names(self):
        comparison = Comparison()
        comparison.look(("s", ("XADD", "s", "*")), b"1795552371158-0", b"1795552371159-0")
        key = comparison.translated(("s", ("XACK", "s", "g", "1795552371158-0", b"(1795552371158-0", 3)))
        assert key == ("s", (b"XACK", b"s", b"g", b"1795552371159-0", b"(1795552371159-0", 3))
        comparison.look(("s", ("XADD", "s", "*")), b"1795552371160-0", b"1795552371159-0")
        assert comparison.difference.startswith("server and fake differ at command 2: the reply is another entry\n")


@pytest.mark.slow
def test_each_test_process_has_a_server_of_its_own(pytester):
    """Under pytest-xdist, with a database each: nobody sees what another does."""
    source = """
    import os

    @pytest.mark.parametrize("number", range(6))
    async def test_close(module_host, number):
        async with module_host.act() as trace:
            await module_host.http.post("/api/modules/till/close/a")
        trace.emitted("sale_closed").once()
        folder = module_host._lives.open_streams.url
        with open(os.environ["SEEN"], "a") as file:
            file.write(f"{os.environ['PYTEST_XDIST_WORKER']} {folder.partition('?')[0]}\\n")
    """
    from tests.kit.conftest import Kit  # noqa: PLC0415 - beside its one use

    seen = pytester.path / "seen"
    pytester._monkeypatch.setenv("SEEN", str(seen))
    Kit(pytester, "server").run(source, "-n", "2").assert_outcomes(passed=6)
    pairs = {tuple(line.split()) for line in seen.read_text().splitlines()}
    assert len({worker for worker, _ in pairs}) == len({url for _, url in pairs}) == len(pairs) == 2


def test_the_twin_is_a_backend_by_name():
    with pytest.raises(KitError, match="use fake, server, container, twin, or a URL"):
        backend("twins")
