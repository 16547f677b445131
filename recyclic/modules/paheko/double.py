"""PahekoServer: a stand-in for Paheko over real HTTP, held to what a real server was seen to do, traps included."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from recyclic.modules.paheko.double_api import CRASH_PAGE, READ, WRITE, Failure, PahekoApi, Received, Switches
from recyclic.modules.paheko.double_ledger import CLOSED, LOCKED, OPEN, Ledger

T = TypeVar("T")
_STATUSES = {"open": OPEN, "closed": CLOSED, "locked": LOCKED}


@dataclass(frozen=True, slots=True)
class BookedLine:
    """One line of a booked entry, amounts in cents."""

    account: str
    debit: int
    credit: int
    label: str | None


@dataclass(frozen=True, slots=True)
class BookedEntry:
    """One booked transaction, to compare with."""

    id: int
    reference: str | None
    date: date
    label: str
    lines: tuple[BookedLine, ...]

    @property
    def debits(self) -> dict[str, int]:
        """Return account → cents on the debit side."""
        return self._side("debit")

    @property
    def credits(self) -> dict[str, int]:
        """Return account → cents on the credit side."""
        return self._side("credit")

    def _side(self, side: str) -> dict[str, int]:
        sums: dict[str, int] = {}
        for line in self.lines:
            if amount := getattr(line, side):
                sums[line.account] = sums.get(line.account, 0) + amount
        return sums


class PahekoServer:
    """A Paheko on 127.0.0.1, in a thread of its own: use it `with` or `async with`, from any thread or loop.

    It books into memory. Spoil it by its switches; read what it got by `requests`, `entries()` and `users`.
    """

    user = "recyclic"
    password = "secret"  # noqa: S105 - a stand-in's password protects nothing
    read_only = ("lecture", "lecture")

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.requests: list[Received] = []
        self._received = threading.Condition()
        self.module_settings: dict[str, dict[str, Any]] = {}
        self._switches = Switches()
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}
        self._listener: asyncio.Server | None = None
        self._port = 0
        self._working: set[asyncio.Future[None]] = set()

    # -- life

    @property
    def url(self) -> str:
        """The address to configure."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def settings(self) -> dict[str, Any]:
        """The paheko module's settings that point here."""
        return {"url": self.url, "user": self.user, "password": self.password}

    def start(self) -> None:
        """Listen on a free port."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="paheko-server", daemon=True)
        self._thread.start()
        self._call(self._open)
        self.module_settings = {"paheko": self.settings}

    def stop(self) -> None:
        """Stop listening, cut what is open, and end the thread."""
        self._call(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.ledger.close()

    @classmethod
    @contextmanager
    def run_in_thread(cls) -> Iterator[PahekoServer]:
        """Run one for the length of a `with` block."""
        with cls() as server:
            yield server

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    # -- what was booked

    @property
    def transactions(self) -> list[dict[str, Any]]:
        """Every transaction as the API shows it, in the order of booking."""
        return [
            self.ledger.transaction(row["id"])
            for row in self.ledger.rows("SELECT id FROM acc_transactions ORDER BY id")
        ]

    def entries(self, reference: str | None = None) -> list[BookedEntry]:
        """Return every booked entry, or those with one reference, by date and then in the order of booking."""
        found = [
            BookedEntry(
                id=row["id"],
                reference=row["reference"],
                date=date.fromisoformat(row["date"]["date"][:10]),
                label=row["label"],
                lines=tuple(
                    BookedLine(line["account_code"], line["debit"], line["credit"], line["label"])
                    for line in row["lines"]
                ),
            )
            for row in self.transactions
            if reference is None or row["reference"] == reference
        ]
        return sorted(found, key=lambda entry: (entry.date, entry.id))

    @property
    def users(self) -> list[dict[str, Any]]:
        """Every member but the association's first one."""
        return self.ledger.rows("SELECT * FROM users WHERE id > 1 ORDER BY id")

    @property
    def posts(self) -> list[Received]:
        """The requests that asked for a new transaction."""
        return [one for one in self.requests if one.method == "POST" and one.path == "/api/accounting/transaction"]

    def wait_for_posts(self, count: int, timeout: float = 10.0) -> None:
        """Return when `count` transactions have been asked for; what is locked or slow is not waited for.

        Raises:
            TimeoutError: they did not come within `timeout` seconds.
        """
        with self._received:
            if not self._received.wait_for(lambda: len(self.posts) >= count, timeout):
                raise TimeoutError(f"{len(self.posts)} of {count} POSTs came within {timeout} s")

    # -- what goes wrong

    @property
    def upgrade_pending(self) -> bool:
        """Whether an administrator has yet to run an upgrade: every call is redirected to it."""
        return self._switches.upgrade_pending

    @upgrade_pending.setter
    def upgrade_pending(self, pending: bool) -> None:
        self._switches.upgrade_pending = pending

    @property
    def busy_timeout(self) -> float:
        """Seconds that a request waits for the locked database before it gives up with 500."""
        return self._switches.busy_timeout

    @busy_timeout.setter
    def busy_timeout(self, seconds: float) -> None:
        self._switches.busy_timeout = seconds

    @property
    def latency(self) -> float:
        """Seconds that each authenticated request takes longer, so that concurrent ones cross."""
        return self._switches.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._switches.latency = seconds

    def fail_next(
        self, count: int = 1, *, status: int = 500, body: str = CRASH_PAGE, content_type: str = "text/html"
    ) -> None:
        """Answer the next `count` requests with this, and do nothing else."""
        self._switches.failures += [Failure(status, body, content_type)] * count

    def lose_next_reply(self, count: int = 1) -> None:
        """Book the next `count` POSTs of a transaction or a member, then cut the connection instead of answering."""
        self._switches.lost_replies += count

    def lock(self) -> None:
        """Hold the database's write lock: authenticated requests wait, at most `busy_timeout`."""
        self._call(self._lock)

    def unlock(self) -> None:
        """Release the write lock; what waits goes on, also for clients that have given up."""
        self._call(self._unlock)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the write lock for the length of a `with` block."""
        self.lock()
        try:
            yield
        finally:
            self.unlock()

    def locked_for(self, seconds: float | None = None, *, requests: int = 0) -> None:
        """Hold the write lock for `seconds`, or refuse the next `requests` as if each had waited in vain."""
        self._switches.busy_requests += requests
        if seconds is not None:
            self.lock()
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, self._api.unlocked.set)

    def refuse_connections(self) -> None:
        """Go down: cut what is open and listen no longer."""
        self._call(self._close)

    def accept_connections(self) -> None:
        """Come up again at the same address, with the books as they were."""
        self._call(self._open)

    def wait_until_idle(self) -> None:
        """Return when no request is being worked on, clients that gave up included."""
        self._call(self._idle)

    def set_year(self, year: int, status: str) -> None:
        """Make a calendar year `open`, `closed` or `locked`."""
        self.ledger.run("UPDATE acc_years SET status = ? WHERE start_date = ?", _STATUSES[status], f"{year}-01-01")

    def add_credentials(self, user: str, password: str, level: int) -> None:
        """Add an API key of level 1 (read), 2 (write) or 9 (admin); or change one's password."""
        self._api.credentials[user] = (password, level)

    # -- the server

    def _call(self, step: Callable[[], Awaitable[T]]) -> T:
        async def run() -> T:
            return await step()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    async def _open(self) -> None:
        if self._listener is not None:
            return
        if not self._port:
            self._api = PahekoApi(self.ledger, self._switches)
            self._api.credentials = {self.user: (self.password, WRITE), self.read_only[0]: (self.read_only[1], READ)}
        config = Config(
            self._serve, interface="asgi3", lifespan="off", log_config=None, access_log=False, proxy_headers=False
        )
        config.load()
        listening = socket.create_server(("127.0.0.1", self._port))
        self._port = listening.getsockname()[1]
        protocol = partial(_Protocol, config, ServerState(), {}, transports=self._transports)
        self._listener = await self._loop.create_server(protocol, sock=listening)

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for transport in list(self._transports.values()):
            transport.abort()
        self._api.unlocked.set()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _idle(self) -> None:
        await asyncio.gather(*self._working)

    async def _lock(self) -> None:
        self._api.unlocked.clear()

    async def _unlock(self) -> None:
        self._api.unlocked.set()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        done = self._loop.create_future()
        self._working.add(done)
        try:
            await self._work(scope, receive, send)
        finally:
            self._working.discard(done)
            done.set_result(None)

    async def _work(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        received = Received(request.method, request.url.path, dict(request.query_params), dict(request.headers), body)
        with self._received:
            self.requests.append(received)
            self._received.notify_all()
        response = await self._api.answer(request, body)
        books = request.method == "POST" and request.url.path.rstrip("/") in (
            "/api/accounting/transaction",
            "/api/user/new",
        )
        if books and self._switches.lost_replies and response.status_code == 200:
            self._switches.lost_replies -= 1
            self._transports[scope["client"]].abort()
            await receive()  # until the server itself has seen the cut
            return
        received.status = response.status_code
        await response(scope, receive, send)


class _Protocol(H11Protocol):
    """Uvicorn's HTTP protocol that also tells which connection is whose, so that one can be cut."""

    def __init__(self, *args: Any, transports: dict[tuple[str, int], asyncio.Transport], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known = transports
        self._peer: tuple[str, int] = ("", 0)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._peer = transport.get_extra_info("peername")
        self._known[self._peer] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._known.pop(self._peer, None)
        super().connection_lost(exc)


@asynccontextmanager
async def outside_world() -> AsyncIterator[dict[str, Any]]:
    """Start a stand-in for Paheko and yield the module's settings that point at it."""
    async with PahekoServer() as server:
        yield server.settings
