"""What the kit prints of tests with worker processes, line by line."""

from __future__ import annotations

import re

import pytest

from recyclic.testing.backends import backend

pytestmark = pytest.mark.slow  # pytest inside pytest, and real processes

pytest_plugins = ["pytester"]


def lines_from(result, first: str, last: str = "rerun:") -> list[str]:
    """Return the printed lines from `first` to `last`, without the margin and what differs in each run."""
    lines = [line[1:] if line.startswith("E ") else line for line in result.outlines]
    start = next(i for i, line in enumerate(lines) if line.strip().startswith(first))
    end = next(i for i, line in enumerate(lines[start:], start) if line.strip().startswith(last))
    indent = len(lines[start]) - len(lines[start].lstrip())
    text = "\n".join(line[indent:].rstrip() for line in lines[start : end + 1])
    for pattern, word in ((r"worker \d \(pid \d+\)", "worker N (pid PID)"), (r"\d{13}-\d", "ID")):
        text = re.sub(pattern, word, text)
    return text.splitlines()


def server() -> str:
    return backend("server").description


def test_the_output_says_where_tests_with_workers_run(fake_kit):
    result = fake_kit.run("""
    @pytest.mark.workers(1)
    async def test_close(module_host):
        async with module_host.act() as trace:
            await module_host.http.post("/api/modules/till/close/a")
        trace.consumed("sale_closed", by="books").once().ok(attempts=1)
    """)
    result.assert_outcomes(passed=1)
    assert f"recyclic: 1 test with worker processes on {server()}" in result.outlines


def test_with_the_fake_and_a_server_a_test_with_workers_runs_once(fake_kit):
    result = fake_kit.run(
        """
    @pytest.mark.workers(1)
    async def test_close(module_host):
        await module_host.http.post("/api/modules/till/close/a")
    """,
        "--recyclic-redis=server",
    )
    result.assert_outcomes(passed=1)


def test_a_worker_that_dies_by_itself(fake_kit):
    result = fake_kit.run("""
    import os, sys

    class FatalModule(BooksModule):
        async def book(self, **data):
            print("the accounts are on fire", file=sys.stderr, flush=True)
            os._exit(7)

    @pytest.mark.modules(TillModule, FatalModule)
    @pytest.mark.workers(1)
    async def test_close(module_host):
        async with module_host.act("close the till"):
            await module_host.http.post("/api/modules/till/close/a")
    """)
    result.assert_outcomes(failed=1)
    assert lines_from(result, "recyclic.testing.errors.StrictError") == [
        (
            "recyclic.testing.errors.StrictError: worker N (pid PID) died by itself (exit code 7); "
            "the end of its output:"
        ),
        "  | the accounts are on fire",
        "",
        f"timeline of act 'close the till', on {server()}, 1 worker process:",
        "  +0 s      POST /api/modules/till/close/a → 200",
        "  +0 s        till emitted sale_closed {session_id: 'a', total_cents: 100}",
        "  +0 s          fatal got sale_closed, attempt 1 → its worker died",
        "  +0 s      ! worker N (pid PID) died by itself (exit code 7)",
        "outstanding:",
        "  worker N (pid PID) is dead",
        "  fatal has not acked sale_closed ID: 0 failed attempts",
        "rerun: pytest test_shop.py::test_close --recyclic-redis=server",
    ]


def test_what_is_outstanding_in_a_worker(fake_kit):
    result = fake_kit.run(
        """
    class StuckModule(BooksModule):
        async def book(self, **data):
            self.left = asyncio.create_task(asyncio.Event().wait(), name="left")

    @pytest.mark.modules(TillModule, StuckModule)
    @pytest.mark.workers(2)
    async def test_close(module_host):
        async with module_host.act("close the till"):
            await module_host.http.post("/api/modules/till/close/a")
    """,
        "-o",
        "recyclic_settle_within=0.5",
    )
    result.assert_outcomes(failed=1)
    printed = lines_from(result, "recyclic.testing.errors.SettleError")
    place = f"test_shop.py:{fake_kit.line('self.left = ')}"
    assert printed == [
        "recyclic.testing.errors.SettleError: act 'close the till' did not come to rest within 0.5 s",
        "",
        f"timeline of act 'close the till', on {server()}, 2 worker processes:",
        "  +0 s      POST /api/modules/till/close/a → 200",
        "  +0 s        till emitted sale_closed {session_id: 'a', total_cents: 100}",
        "  +0 s          stuck got sale_closed, attempt 1 → ok",
        "outstanding:",
        f"  task Event.wait created at {place} by stuck handling sale_closed in worker N (pid PID)",
        "rerun: pytest test_shop.py::test_close --recyclic-redis=server",
    ]


@pytest.mark.parametrize("given", ["0", "'two'", "True", "1, 2", "17"])
def test_a_wrong_number_of_workers_is_refused(fake_kit, given):
    result = fake_kit.run(f"@pytest.mark.workers({given})\nasync def test_close(module_host):\n    pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert any(
        "test_shop.py::test_close: workers takes a number of processes, 1 to 16: workers(count): " in line
        for line in [*result.outlines, *result.errlines]
    )
