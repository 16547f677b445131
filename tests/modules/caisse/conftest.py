"""A till to test against: the module's own routes over a real SQLite file, and a bus that keeps what was published."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from recyclic.core.clock import SystemClock
from recyclic.core.database import Database
from recyclic.core.events.event import Event
from recyclic.core.http import install_error_handlers
from recyclic.core.migration import MigrationLocation, Migrator
from recyclic.core.permissions import User, current_user
from recyclic.modules.caisse import CaisseModule
from recyclic.modules.caisse.models import Table, Ticket

DATA = Path(__file__).parents[2] / "data"
API = "/api/modules/caisse"


class StillClock(SystemClock):
    """Shows one moment, that a test chooses."""

    moment = datetime(2025, 10, 6, 9, 0, tzinfo=UTC)

    def now(self) -> float:
        return self.moment.timestamp()


@dataclass
class KeptBus:
    """Keeps events once their transaction is committed, as the outbox would send them."""

    sent: list[Event] = field(default_factory=list)

    def within(self, uow: Any) -> KeptEmitter:
        return KeptEmitter(self, uow)


@dataclass
class KeptEmitter:
    bus: KeptBus
    uow: Any

    async def emit(self, event: Event) -> str:
        self.uow.after_commit(lambda: self.bus.sent.append(event))
        return "an id"


@dataclass
class Shop:
    """The till over HTTP, and what a test may look at behind it."""

    http: httpx.AsyncClient
    database: Database
    clock: StillClock
    bus: KeptBus

    async def ask(self, method: str, path: str, *, status: int = 200, **request: Any) -> Any:
        response = await self.http.request(method, f"{API}{path}", **request)
        assert response.status_code == status, (response.status_code, response.text)
        return response.json()

    async def get(self, path: str, **request: Any) -> Any:
        return await self.ask("GET", path, **request)

    async def post(self, path: str, json: Any = None, *, status: int = 201, **request: Any) -> Any:
        return await self.ask("POST", path, status=status, json=json, **request)

    async def refused(self, path: str, json: Any = None, **request: Any) -> tuple[int, str, dict[str, Any]]:
        response = await self.http.post(f"{API}{path}", json=json, **request)
        error = response.json()["error"]
        return response.status_code, error["code"], error

    async def open(self, name: str = "Caisse 1", opening_float_cents: int = 0) -> dict[str, Any]:
        registers = {register["name"]: register for register in await self.get("/registers")}
        register = registers.get(name) or await self.post("/registers", {"name": name})
        body = {"register_id": register["id"], "opening_float_cents": opening_float_cents}
        return await self.post("/sessions", body)

    async def sell(self, session: dict[str, Any], price: int, method: str = "cash", **more: Any) -> dict[str, Any]:
        body = {
            "lines": [{"label": "Livre", "quantity": 1, "unit_price_cents": price}],
            "payments": [{"method": method, "amount_cents": price}],
            **more,
        }
        return await self.post(f"/sessions/{session['id']}/tickets", body)

    async def tickets_in_database(self) -> list[Ticket]:
        async with self.database.unit_of_work(read_only=True) as uow:
            return list(await uow.session.scalars(select(Ticket)))


def build_app(database: Database, bus: KeptBus, clock: StillClock) -> tuple[FastAPI, CaisseModule]:
    app = FastAPI()
    install_error_handlers(app)
    app.state.database, app.state.clock = database, clock
    app.dependency_overrides[current_user] = lambda: User(id="1", name="Camille")
    module = CaisseModule()
    module.register_routes(app)
    module.register_signals(bus)
    return app, module


@asynccontextmanager
async def open_shop(url: str) -> AsyncIterator[Shop]:
    await Migrator(url).upgrade([MigrationLocation("caisse", MIGRATIONS, Table.metadata)])
    database, bus, clock = Database(url), KeptBus(), StillClock()
    app, module = build_app(database, bus, clock)
    await module.startup(app, {})
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://till") as http:
        yield Shop(http, database, clock, bus)
    await module.shutdown()
    await database.close()


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """A till over a SQLite file."""
    async with open_shop(f"sqlite+aiosqlite:///{tmp_path}/shop.sqlite3") as opened:
        yield opened


@pytest.fixture
async def postgres_shop(postgres_url: str) -> AsyncIterator[Shop]:
    """A till over a private PostgreSQL."""
    async with open_shop(postgres_url.replace("postgresql://", "postgresql+asyncpg://")) as opened:
        yield opened


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def any_shop(request: pytest.FixtureRequest) -> Shop:
    """A till over each of the two databases; for what a database promises."""
    return request.getfixturevalue("shop" if request.param == "sqlite" else "postgres_shop")


MIGRATIONS = Path(__file__).parents[3] / "recyclic" / "modules" / "caisse" / "migrations" / "versions"


@pytest.fixture
def notebook() -> bytes:
    return (DATA / "till-notebook-2025-09.csv").read_bytes()


@pytest.fixture
def sheet_of() -> Callable[..., bytes]:
    """Return a notebook of the given data lines, under the usual header."""

    def build(*lines: str, header: str = "Date,Type,Catégorie,Libellé,Poids_kg,Prix_€,Paiement,Notes") -> bytes:
        return "\n".join([header, *lines]).encode()

    return build
