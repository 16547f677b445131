"""Tests that are repeated with faults: the crash matrix, doubled deliveries, other orders."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow  # pytest inside pytest

pytest_plugins = ["pytester"]

IDEMPOTENT = """
class OnceModule(BooksModule):
    booked = set()

    async def book(self, session_id: str, **data):
        if session_id not in self.booked:
            self.booked.add(session_id)

pytestmark = pytest.mark.modules(TillModule, OnceModule)
"""


def lines_of(result, start: str) -> list[str]:
    """Return what was printed from the line that begins so."""
    lines = [line.removeprefix("E   ").rstrip() for line in result.outlines]
    at = next(number for number, line in enumerate(lines) if line.strip().startswith(start))
    return lines[at:]


ONCE = """
async def test_close(module_host):
    OnceModule.booked.clear()
    async with module_host.act("close") as trace:
        await module_host.http.post("/api/modules/till/close/a")
    trace.consumed("sale_closed").ok()
    assert OnceModule.booked == {"a"}
"""

TWICE = """
async def test_close(module_host):
    async with module_host.act("close") as trace:
        await module_host.http.post("/api/modules/till/close/a")
    trace.emitted("entry_written").once()
"""


def test_a_test_that_holds_everywhere_passes_and_says_how_often(kit):
    """Before and after each of: the outbox's hand-over, the handling, the ack."""
    result = kit.run("@faults.everywhere" + ONCE, marks=IDEMPOTENT)
    result.assert_outcomes(passed=1)
    assert "recyclic: 1 test repeated: 6 deaths" in result.outlines


def test_a_test_that_breaks_where_its_worker_dies_is_told_where(fake_kit):
    """The books book twice what they are told twice: a worker that died between the entry and the ack doubles it."""
    result = fake_kit.run("@faults.everywhere" + TWICE)
    result.assert_outcomes(failed=1)
    why = "recyclic.testing.errors.TraceError: entry_written was emitted twice, not once:"
    assert lines_of(result, "test_close passes, and fails in")[:7] == [
        "test_close passes, and fails in 4 of 8 repetitions:",
        f"  a worker that dies after the hand-over of sale_closed by the outbox: {why}",
        f"  a worker that dies after the emission of entry_written by books: {why}",
        f"  a worker that dies after the handling of sale_closed by books: {why}",
        f"  a worker that dies before the ack of sale_closed by books: {why}",
        "",
        "a worker that dies after the hand-over of sale_closed by the outbox:",
    ]
    key = "after:hand_over:sale_closed:outbox:1"
    assert (
        f"only this again: pytest test_shop.py::test_close --recyclic-redis=fake --recyclic-sweep={key}"
        in result.outlines
    )
    again = fake_kit.run("@faults.everywhere" + TWICE, f"--recyclic-sweep={key}")
    again.assert_outcomes(failed=1)
    assert "test_close passes, and fails in 1 of 1 repetitions:" in again.outlines
    assert "recyclic: 1 test repeated: 1 death" in again.outlines
    fake_kit.run("@faults.everywhere" + TWICE, "--recyclic-sweep=before:handler:sale_closed:books:1").assert_outcomes(
        passed=1
    )


def test_doubled_deliveries_must_not_emit_more(fake_kit):
    """Also where no assertion looks."""
    loose = TWICE.replace(".once()", "")
    result = fake_kit.run("@faults.doubled" + loose)
    result.assert_outcomes(failed=1)
    assert lines_of(result, "test_close passes, and fails in")[:5] == [
        "test_close passes, and fails in 1 of 1 repetitions:",
        "  every delivery doubled: entry_written was emitted twice, and once undoubled",
        "",
        "every delivery doubled:",
        "entry_written was emitted twice, and once undoubled",
    ]
    fake_kit.run("@faults.doubled" + ONCE, marks=IDEMPOTENT).assert_outcomes(passed=1)


def test_a_test_is_repeated_in_other_orders(fake_kit):
    source = """
    seen = []

    class ListModule(BooksModule):
        def register_signals(self, bus):
            bus.on("sale_closed", self.book, concurrency=1)

        async def book(self, session_id: str, **data):
            seen.append(session_id)

    @faults.doubled
    @faults.reordered(seeds=[1, 2, 3])
    @pytest.mark.modules(TillModule, ListModule)
    async def test_order(module_host):
        seen.clear()
        async with module_host.act("three"):
            for name in "abcd":
                await module_host.bus.emit("sale_closed", session_id=name, total_cents=1)
        assert list(dict.fromkeys(seen)) == ["a", "b", "c", "d"]
    """
    result = fake_kit.run(source)
    result.assert_outcomes(failed=1)
    told = lines_of(result, "test_order passes, and fails in")
    assert told[0] == "test_order passes, and fails in 3 of 4 repetitions:"
    assert told[1].startswith("  deliveries in the order of seed 1: AssertionError: assert [")
    assert "recyclic: 1 test repeated: 1 doubled, 3 orders" in result.outlines


def test_a_sweep_that_proves_nothing_fails(fake_kit):
    result = fake_kit.run(
        """
        @faults.everywhere
        async def test_nothing(module_host):
            await module_host.http.get("/health/live")

        @faults.everywhere
        async def test_no_host():
            pass
        """
    )
    result.assert_outcomes(failed=2)
    assert "test_nothing crossed no boundary at which a worker can die: nothing was proved" in result.outlines
    assert (
        "test_no_host boots no module_host, so nothing can be repeated with a fault: ask for module_host"
        in result.outlines
    )


def test_a_test_that_fails_by_itself_is_not_repeated(fake_kit):
    result = fake_kit.run("@faults.everywhere" + TWICE.replace("once()", "times(7)"))
    result.assert_outcomes(failed=1)
    assert not any("repetitions" in line or "test repeated" in line for line in result.outlines)


def test_fixtures_are_fresh_in_each_repetition(fake_kit):
    """Those of the test itself; those of the session live on."""
    source = """
    made = []

    @pytest.fixture(scope="session")
    def shop():
        made.append("shop")

    @pytest.fixture
    def till(shop):
        made.append("till")
        yield
        made.append("end")

    @faults.doubled
    async def test_close(module_host, till):
        OnceModule.booked.clear()
        async with module_host.act("close") as trace:
            await module_host.http.post("/api/modules/till/close/a")

    def test_made():
        assert made == ["shop", "till", "end", "till", "end"]
    """
    fake_kit.run(source, marks=IDEMPOTENT).assert_outcomes(passed=2)


def test_it_works_in_several_test_processes(fake_kit):
    result = fake_kit.run("@faults.everywhere" + ONCE, "-n", "2", marks=IDEMPOTENT)
    result.assert_outcomes(passed=1)
    assert "recyclic: 1 test repeated: 6 deaths" in result.outlines


def test_on_a_server_real_processes_are_killed(fake_kit):
    """The till's own process hands over, the worker handles: each dies at its boundaries, the worker by SIGKILL."""
    marks = """
pids = set()

class PidModule(BooksModule):
    async def book(self, session_id: str, **data):
        pass

pytestmark = [pytest.mark.modules(TillModule, PidModule), pytest.mark.workers(1)]
"""
    source = """
    @faults.everywhere
    async def test_close(module_host):
        pids.add(module_host.workers[0].pid)
        async with module_host.act("close") as trace:
            await module_host.http.post("/api/modules/till/close/a")
        trace.consumed("sale_closed", by="pid").ok()
        if len(pids) == 4:
            assert module_host.workers[0].pid not in pids, "it was killed and started anew"
    """
    result = fake_kit.run(source, backend=False, marks=marks)
    result.assert_outcomes(passed=1)
    assert "recyclic: 1 test repeated: 6 deaths" in result.outlines
