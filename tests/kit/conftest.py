"""A shop of two small modules, and pytest run inside pytest on it."""

from __future__ import annotations

import asyncio
import textwrap

import pytest

from recyclic.testing import boot_modules

SHOP = """
import asyncio
import socket
import threading

import pytest

from recyclic import Event, ModuleBase
from recyclic.testing import ANY, faults


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
        async def close(session_id: str, cents: int = 100):
            async with self.app.state.database.unit_of_work() as uow:
                await self.bus.within(uow).emit("sale_closed", session_id=session_id, total_cents=cents)
            return {"closed": session_id}


class BooksModule(ModuleBase):
    emits = (EntryWritten,)

    async def startup(self, app, config):
        pass

    async def shutdown(self):
        pass

    def register_signals(self, bus):
        self.bus = bus
        bus.on("sale_closed", self.book)

    async def book(self, session_id: str, total_cents: int, **data):
        await self.bus.emit("entry_written", session_id=session_id, amount_cents=total_cents)
"""

INI = """
[pytest]
asyncio_mode = {mode}
asyncio_default_fixture_loop_scope = function
addopts = -p no:cacheprovider -p no:hypothesispytest -p no:unraisableexception -p no:valkey
filterwarnings = error
"""


@pytest.fixture(scope="session", autouse=True)
def _warm() -> None:
    """Import here what a host needs: a run inside forgets what it imports, and the next would import it again."""

    async def boot() -> None:
        async with boot_modules("caisse", backend="server") as host:
            await host.http.get("/api/ui")

    asyncio.run(boot())


@pytest.fixture(autouse=True)
def _at_a_desk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print as at a desk: where one of these is set, pytest repeats whole messages in its summary."""
    for variable in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(variable, raising=False)


class Kit:
    """Runs a test file of the shop's in a pytest of its own."""

    def __init__(self, pytester: pytest.Pytester, backend: str) -> None:
        self.pytester = pytester
        self.backend = backend

    def run(self, source: str, *args: str, mode: str = "auto", marks: str = "", backend: bool = True):
        """Write `test_shop.py` and run it."""
        marks = marks or "pytestmark = pytest.mark.modules(TillModule, BooksModule)\n"
        self.pytester.makefile(".ini", pytest=INI.format(mode=mode))
        (self.pytester.path / "test_shop.py").write_text(SHOP + marks + textwrap.dedent(source))
        chosen = [f"--recyclic-redis={self.backend}"] if backend else []
        return self.pytester.runpytest_inprocess(*chosen, *args)

    def line(self, text: str) -> int:
        """Return the line of the test file that starts with `text`."""
        lines = (self.pytester.path / "test_shop.py").read_text().splitlines()
        return next(number for number, line in enumerate(lines, 1) if line.strip().startswith(text))


@pytest.fixture(params=["fake", pytest.param("server", marks=pytest.mark.slow)])
def kit(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> Kit:
    """Pytest inside pytest, on each backend."""
    return Kit(pytester, request.param)


@pytest.fixture
def fake_kit(pytester: pytest.Pytester) -> Kit:
    """The same on the fake only, where the backend does not matter."""
    return Kit(pytester, "fake")
