"""HTTP clients of a booted host: as an administrator, as a user with some levels, as nobody."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import httpx

from recyclic.core.auth import COOKIE
from recyclic.core.http import REQUEST_ID
from recyclic.core.permissions import Level, Section
from recyclic.testing.matching import closest_name
from recyclic.testing.report import KitError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from recyclic.testing.host import ModuleHost

BASE_URL = "http://testserver"
_RENEW = 3600.0


class SignedIn(httpx.Auth):
    """Signs each request in as a user with these levels; the user is made at the first request."""

    def __init__(self, host: ModuleHost, levels: Mapping[Section, Level] | None) -> None:
        self._host = host
        self._levels = levels
        self._cookie = ""
        self._made = 0.0
        self._signing = asyncio.Lock()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Add the cookie."""
        now = self._host.clock.now()
        async with self._signing:  # the first requests may come together; the user is made once
            if not self._cookie or now - self._made > _RENEW:
                self._cookie, self._made = await self._sign(), now
        others = request.headers.get("cookie")
        own = f"{COOKIE}={self._cookie}"
        request.headers["cookie"] = f"{others}; {own}" if others else own
        yield request

    async def _sign(self) -> str:
        auth = self._host.app.state.auth
        if self._levels is None:
            return str(auth.cookie_for(await auth.administrator()))
        name = "test " + (" ".join(f"{section}={level}" for section, level in self._levels.items()) or "user")
        user = next((user for user in await auth.users() if user.name == name), None)
        return str(auth.cookie_for(user or await auth.add_user(name, None, self._levels)))


def levels_of(given: Mapping[str, str]) -> dict[Section, Level]:
    """Return sections and levels.

    Raises:
        KitError: one of them does not exist.
    """
    levels = {}
    for section, level in given.items():
        sections, known = [str(one) for one in Section], [str(one) for one in Level]
        if section not in sections:
            raise KitError(f"as_user({section}=…): no such section{closest_name(section, sections)}")
        if level not in known:
            raise KitError(f"as_user({section}={level!r}): no such level{closest_name(str(level), known)}")
        levels[Section(section)] = Level(level)
    return levels


def client(host: ModuleHost, auth: httpx.Auth | None) -> httpx.AsyncClient:
    """Return a client that speaks to the host in process. A failing route answers 500, as it does to a browser."""
    transport = httpx.ASGITransport(app=host.door, raise_app_exceptions=False)
    hooks = {"request": [_name_it]}
    return httpx.AsyncClient(transport=transport, base_url=BASE_URL, auth=auth, event_hooks=hooks)


async def _name_it(request: httpx.Request) -> None:
    """Give a request the id that is the cause of its events, so that a test can ask by the request as well."""
    request.headers.setdefault(REQUEST_ID, uuid.uuid4().hex)
