"""Shop: the real till and accounting modules in real processes, sessions closed over HTTP, and the books in the end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from drills.account import table
from drills.drill import LEASE, LONGEST, PATIENCE, Drill
from drills.processes import WORKER, Worker
from recyclic.cli.options import open_auth
from recyclic.config import Config
from recyclic.core.auth import COOKIE
from recyclic.core.permissions import Level, Section
from recyclic.modules.paheko.double import PahekoServer
from recyclic.modules.paheko.entries import reference_of

API = "/api/modules/caisse"
REGISTERS = 4
AWAY = (httpx.TransportError,)


@asynccontextmanager
async def shop(drill: Drill, *, redis_url: str = "", workers: int = 2) -> AsyncIterator[Shop]:
    """Open a shop: `recyclic serve`, `recyclic worker` so many times, and a Paheko. Without `redis_url` its Redis is
    the embedded one that all its processes share.
    """
    async with asyncio.timeout(LONGEST), AsyncExitStack() as stack:
        paheko = await stack.enter_async_context(PahekoServer())
        shop = Shop(drill, paheko, redis_url)
        stack.callback(shop.kill_all)
        await shop.sign_in()
        stack.push_async_callback(shop.http.aclose)
        shop.start_serving()
        for _ in range(workers):
            shop.start_worker()
        await shop.until(lambda: shop.workers[0].says("Recyclic runs at"), "the shop serves")
        yield shop


class Shop:
    """Processes, tills and books of one shop."""

    def __init__(self, drill: Drill, paheko: PahekoServer, redis_url: str) -> None:
        self.drill = drill
        self.chance = drill.chance
        self.paheko = paheko
        self.workers: list[Worker] = []
        self.facts: list[str] = []
        self.closed: dict[str, int] = {}
        """Session → its total in cents, of every session whose close was answered."""
        self.refused = 0
        """Requests that found nobody to serve them, and were made again."""
        self._redis_url = redis_url
        self._names = itertools.count(1)
        self._began = time.monotonic()
        self.port = _free_port()
        self.data = drill.folder / "shop"
        self._config = drill.folder / "shop.toml"
        self._config.write_text(_config(self.data, paheko.settings))

    async def sign_in(self) -> None:
        """Give the drill a user of the shop."""
        async with open_auth(Config.load(self._config, {})) as auth:
            cookie = auth.cookie_for(await auth.add_user("drill", None, dict.fromkeys(Section, Level.ADMIN)))
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", cookies={COOKIE: cookie}, timeout=30)

    # -- processes

    def start_serving(self) -> Worker:
        """Start the process that serves; it handles events too."""
        return self._start("serve", sys.executable, "-m", "recyclic", "serve", "--port", str(self.port))

    def start_worker(self) -> Worker:
        """Start one more process that handles events."""
        return self._start("worker", *WORKER)

    def again(self, worker: Worker) -> Worker:
        """Start another process of a worker's kind."""
        return self.start_serving() if worker.name.startswith("serve") else self.start_worker()

    def kill(self, worker: Worker) -> None:
        """Kill a process with SIGKILL."""
        worker.kill()
        self.workers.remove(worker)

    async def end(self, worker: Worker) -> None:
        """Ask a process to go."""
        self.workers.remove(worker)
        wrong = await worker.end()
        assert not wrong, f"{wrong}\n{self.story()}"

    def kill_all(self) -> None:
        """End everything that runs, an embedded Redis included."""
        for worker in self.workers:
            worker.kill()
        if pid := self.redis_pid():
            _kill(pid)

    def redis_pid(self) -> int | None:
        """Return the embedded Redis's process, if one runs."""
        for file in self.data.rglob("redis.pid"):
            pid = int(file.read_text() or 0)
            if pid and _lives(pid):
                return pid
        return None

    def kill_redis(self) -> None:
        """Kill the embedded Redis with SIGKILL; the shop's processes start it again."""
        pid = self.redis_pid()
        assert pid is not None
        _kill(pid)

    # -- tills

    def closing(self, sessions: int) -> asyncio.Task[None]:
        """Sell and close so many sessions at all registers, in the background."""
        numbers = iter(range(sessions))
        tills = [self._till(register, numbers) for register in range(REGISTERS)]

        async def run() -> None:
            await asyncio.gather(*tills)

        return asyncio.create_task(run(), name="drill tills")

    async def until(self, condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
        """Wait for something that other processes bring about."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not seen in {seconds:g} s: {what}\n{self.story()}")
            await asyncio.sleep(0.01)  # between two looks at other processes, which have no way to tell us

    async def sessions_closed(self, count: int) -> None:
        """Wait until so many closes were answered."""
        await self.until(lambda: len(self.closed) >= count, f"{count} sessions closed")

    async def _till(self, register: int, numbers: Any) -> None:
        name = f"Caisse {register + 1}"
        known = {one["name"]: one["id"] for one in await self._ask("GET", "/registers")}
        register_id = known.get(name) or (await self._ask("POST", "/registers", name=name))["id"]
        for _ in numbers:
            opened = await self._ask("POST", "/sessions", register_id=register_id, opening_float_cents=5000)
            session = opened.get("session_id") or opened["id"]
            price = self.chance.randint(1, 9000)
            await self._ask(
                "POST",
                f"/sessions/{session}/tickets",
                lines=[{"label": "Divers", "unit_price_cents": price}],
                payments=[{"method": "cash", "amount_cents": price}],
                client_id=f"drill-{session}",
            )
            await self._ask("POST", f"/sessions/{session}/close", counted_cash_cents=5000 + price)
            self.closed[session] = price

    async def _ask(self, method: str, path: str, **body: Any) -> Any:
        """Ask until there is an answer. Every step of a till may be asked again: the till knows what it has done."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answer = await self.http.request(method, API + path, json=body or None)
            except AWAY:
                self.refused += 1
                assert time.monotonic() < deadline, f"nobody serves {path}\n{self.story()}"
                await asyncio.sleep(0.05)  # a volunteer who sees that the till is away, and tries again
                continue
            if answer.status_code == 409:
                return answer.json()["error"]["details"]  # an earlier request got through, and its answer did not
            assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}\n{self.story()}"
            return answer.json()

    # -- books

    def booked(self) -> Counter[str]:
        """Return how often each reference stands in the books."""
        return Counter(entry.reference or "" for entry in self.paheko.entries())

    async def finish(self) -> None:
        """Wait until every closed session is booked, end the processes in order, and require the books to be right."""
        wanted = {reference_of(session) for session in self.closed}
        problems = []
        try:
            await self.until(lambda: wanted <= set(self.booked()), "every closed session is in the books")
        except AssertionError:
            problems.append(f"sessions closed and not booked: {sorted(wanted - set(self.booked()))[:5]}")
        for worker in list(self.workers):
            await self.end(worker)
        self.drill.tell(self.story_head())
        problems += self._problems()
        if problems:
            raise AssertionError("\n".join((*problems, self.story())))

    def _problems(self) -> list[str]:
        found, booked = [], self.booked()
        sessions = {reference_of(session): total for session, total in self.closed.items()}
        if twice := [reference for reference, times in booked.items() if times > 1]:
            found.append(f"booked more than once: {twice[:5]}")
        if strange := set(booked) - set(sessions):
            found.append(f"booked and never closed: {sorted(strange)[:5]}")
        for entry in self.paheko.entries():
            total = sessions.get(entry.reference or "")
            if total is not None and not sum(entry.debits.values()) == sum(entry.credits.values()) == total:
                found.append(f"{entry.reference} has {entry.debits} and {entry.credits}, not {total} on each side")
        return found

    def story_head(self) -> str:
        """Return the account of the books."""
        booked = self.booked()
        sessions = {reference_of(session): total for session, total in self.closed.items()}
        entries = self.paheko.entries()
        balanced = sum(1 for entry in entries if sum(entry.debits.values()) == sum(entry.credits.values()))
        exact = sum(1 for entry in entries if sum(entry.debits.values()) == sessions.get(entry.reference or ""))
        heads = ("books", "closed", "entries", "missing", "twice", "unexpected", "balanced", "to the cent")
        missing, strange = set(sessions) - set(booked), set(booked) - set(sessions)
        twice = sum(1 for times in booked.values() if times > 1)
        row = ("paheko", len(sessions), len(entries), len(missing), twice, len(strange), balanced, exact)
        seconds = time.monotonic() - self._began
        head = f"{self.drill.name}: {len(sessions)} sessions closed over HTTP, seed {self.drill.seed}, {seconds:.1f} s"
        text = [f"  {line}" for line in table(heads, [row]).splitlines()]
        asked = f"  {self.refused} requests found nobody and were made again"
        return "\n".join((head, *(f"  {fact}" for fact in self.facts), asked, *text))

    def story(self) -> str:
        """Return the account and the ends of all logs."""
        logs = [
            f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}"
            for path in sorted(self.drill.folder.glob("*.log"))
        ]
        return "\n".join((self.story_head(), self.drill.rerun, *logs))

    def _start(self, kind: str, *command: str) -> Worker:
        environment = {"RECYCLIC_CONFIG": str(self._config), "RECYCLIC_LOG__LEVEL": "warning"}
        if self._redis_url:
            environment["REDIS_URL"] = self._redis_url
        worker = Worker(command, self.drill.folder, environment, f"{kind}-{next(self._names)}")
        self.workers.append(worker)
        return worker


def _config(data: Path, paheko: Mapping[str, Any]) -> str:
    settings = {**paheko, "busy_seconds": 0.5}  # the stand-in answers within milliseconds, so its doubts are short
    return f"""
data_dir = "{data}"

[modules]
enabled = ["caisse", "paheko"]

[modules.paheko]
{"".join(f"{key} = {json.dumps(value)}{chr(10)}" for key, value in settings.items())}
[bus]
lease = {LEASE}
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
