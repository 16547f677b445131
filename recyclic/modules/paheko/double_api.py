"""The HTTP side of the stand-in for Paheko: who may ask, what is asked, and how it is answered."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response

from recyclic.modules.paheko.double_ledger import Ledger
from recyclic.modules.paheko.double_values import CrashError, Refusal

READ, WRITE, ADMIN = 1, 2, 9
CRASH_PAGE = (
    "<!DOCTYPE html><html><head><title>Erreur interne</title></head><body><h1>Erreur interne</h1></body></html>"
)
UPGRADE_PAGE = "<!DOCTYPE html><html><head><title>Mise à jour</title></head><body><h1>Mise à jour</h1></body></html>"


@dataclass(slots=True)
class Received:
    """One request that the server got, and the status it answered (None: nothing was answered)."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    status: int | None = None

    def json(self) -> Any:
        """Return the body read as JSON."""
        return json.loads(self.body)


@dataclass(slots=True)
class Failure:
    """An answer that is given instead of the real one, before anything is done."""

    status: int
    body: str
    content_type: str


@dataclass(slots=True)
class Switches:
    """What is wrong with the server just now."""

    upgrade_pending: bool = False
    busy_timeout: float = 10.0
    latency: float = 0.0
    busy_requests: int = 0
    lost_replies: int = 0
    failures: list[Failure] = field(default_factory=list)


class PahekoApi:
    """Answers one request at a time as Paheko's `/api/` does, with what the switches spoil."""

    def __init__(self, ledger: Ledger, switches: Switches) -> None:
        self.ledger = ledger
        self.switches = switches
        self.credentials: dict[str, tuple[str, int]] = {}
        self.unlocked = asyncio.Event()
        self.unlocked.set()

    async def answer(self, request: Request, body: bytes) -> Response:
        """Return what the server answers; the booking is done when it returns."""
        if self.switches.failures:
            failure = self.switches.failures.pop(0)
            return Response(failure.body, failure.status, media_type=failure.content_type)
        if request.url.path == "/admin/upgrade.php":
            return HTMLResponse(UPGRADE_PAGE)
        is_json = "/json" in request.headers.get("content-type", "")
        if self.switches.upgrade_pending and request.method == "POST" and not is_json:
            return HTMLResponse(CRASH_PAGE, 500)
        if self.switches.upgrade_pending:
            return RedirectResponse("/admin/upgrade.php", 302)
        return await self._api(request, body, is_json=is_json)

    async def _api(self, request: Request, body: bytes, *, is_json: bool) -> Response:
        try:
            level = self._authenticate(request)
            await self._write_last_use()
            await asyncio.sleep(self.switches.latency)
            params = _parameters(request, body, is_json=is_json)
            path = request.url.path.removeprefix("/api/").strip("/")
            return _Pretty(self._route(request.method, path, params, body, level))
        except Refusal as refusal:
            return JSONResponse({"error": refusal.text}, refusal.status)
        except _LockedError:
            return PlainTextResponse("database is locked", 500)
        except CrashError:
            return HTMLResponse(CRASH_PAGE, 500)

    def _authenticate(self, request: Request) -> int:
        if request.method not in ("GET", "POST", "PUT", "DELETE"):
            raise Refusal(405, f"Invalid request method: {request.method}")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic" or not token:
            raise Refusal(401, "No username or password supplied")
        try:
            user, _, password = base64.b64decode(token).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Refusal(401, "No username or password supplied") from None
        known = self.credentials.get(user)
        if known is None or known[0] != password:
            raise Refusal(403, "Invalid username or password")
        return known[1]

    async def _write_last_use(self) -> None:
        """Every authenticated request writes, so each waits for the write lock, a read too."""
        if self.switches.busy_requests:
            self.switches.busy_requests -= 1
            raise _LockedError
        try:
            async with asyncio.timeout(self.switches.busy_timeout):
                await self.unlocked.wait()
        except TimeoutError:
            raise _LockedError from None

    def _route(self, method: str, path: str, params: dict[str, Any], body: bytes, level: int) -> Any:
        head, _, rest = path.partition("/")
        if head == "sql":
            _allow(method, "GET", "POST")
            found = self.ledger.select(params["sql"] if "sql" in params else body.decode())
            return {"count": len(found), "results": found}
        if head == "accounting":
            return self._accounting(method, rest, params, level)
        if head == "user":
            return self._user(method, rest, params, level)
        raise Refusal(404, "Unknown path")

    def _accounting(self, method: str, path: str, params: dict[str, Any], level: int) -> Any:
        what, _, rest = path.partition("/")
        if what == "years":
            _allow(method, "GET")
            return self._years(rest)
        if what != "transaction":
            raise Refusal(404, "Unknown accounting action")
        if not rest:
            _allow(method, "POST")
            _require(level, WRITE)
            return self.ledger.transaction(self.ledger.book(params))
        if not rest.isdigit():
            raise Refusal(404, "Unknown transactions route")
        found = self.ledger.transaction(int(rest))
        _allow(method, "GET", "POST")
        if method == "GET":
            return found
        _require(level, WRITE)
        self.ledger.edit(int(rest), params)
        return self.ledger.transaction(int(rest))

    def _years(self, path: str) -> Any:
        which, _, action = path.partition("/")
        if not which:
            return self.ledger.years()
        year = self.ledger.current_year() if which == "current" else int(which) if which.isdigit() else None
        if not year:
            raise Refusal(400, "Missing year in request, or no open years exist")
        if all(row["id"] != year for row in self.ledger.years()):
            raise Refusal(400, "Invalid year.")
        if action != "journal":
            raise Refusal(404, "Unknown years action")
        return self.ledger.journal(year)

    def _user(self, method: str, path: str, params: dict[str, Any], level: int) -> Any:
        if path == "new":
            _allow(method, "POST")
            _require(level, WRITE)
            return self.ledger.add_user(params)
        if path.isdigit():
            _allow(method, "GET")
            return self.ledger.user(int(path))
        raise Refusal(404, "Unknown user action")


class _LockedError(Exception):
    """Raised where the database stayed locked past the server's busy time."""


class _Pretty(JSONResponse):
    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=True, indent=4).encode()


def _parameters(request: Request, body: bytes, *, is_json: bool) -> dict[str, Any]:
    """Read the body; broken JSON is an empty request, and JSON without its content type is read as a form."""
    if request.method != "POST":
        return dict(request.query_params)
    if is_json:
        try:
            found = json.loads(body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}
    if request.url.path.strip("/") == "api/sql" and b"=" not in body.split(b" ", 1)[0]:
        return dict(request.query_params)
    return {**request.query_params, **dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))}


def _allow(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise Refusal(400, "Wrong request method")


def _require(level: int, needed: int) -> None:
    if level < needed:
        raise Refusal(403, "You do not have enough rights to make this request")
