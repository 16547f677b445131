"""The guard: nobody reaches a module's route without the level that its manifest asks for, by whatever path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from recyclic.core.auth import COOKIE
from tests.unit.host.conftest import Quiet, manifest_of

pytestmark = pytest.mark.slow  # real servers, with each of uvicorn's parsers

SECRET = "the till is open"


class Till(Quiet):
    """Serves one secret in every way there is."""

    def register_routes(self, app: FastAPI) -> None:
        router = APIRouter(prefix="/api/modules/till")

        @router.api_route("/secret", methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
        async def secret() -> str:
            return SECRET

        @router.get("/any/{path:path}")
        async def anything(path: str) -> str:
            return SECRET

        @router.websocket("/ws")
        async def talk(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.send_text(SECRET)
            await websocket.close()

        app.include_router(router)

        async def raw(request: Any) -> PlainTextResponse:
            return PlainTextResponse(SECRET)

        app.mount("/api/modules/till/files", Starlette(routes=[Route("/raw", raw)]))


class Members(Quiet):
    def register_routes(self, app: FastAPI) -> None:
        app.get("/api/modules/members/secret")(lambda: SECRET)


MODULES = [
    ("till", Till, manifest_of("till")),
    ("members", Members, manifest_of("members", section="users", level="admin")),
]


def code_of(response: httpx.Response) -> str:
    return response.json()["error"]["code"]


@pytest.mark.parametrize("path", ["/secret", "", "/", "/files/raw", "/any/x", "/not-there"])
async def test_without_a_user_every_path_of_a_module_is_401(run_host, path):
    async with run_host(*MODULES) as host:
        for method in ["GET", "HEAD", "POST", "DELETE", "OPTIONS"]:
            response = await host.http.request(method, f"/api/modules/till{path}")
            assert response.status_code == 401, method
            assert SECRET not in response.text


@pytest.mark.parametrize(
    ("level", "method", "allowed"),
    [
        ("none", "GET", False),
        ("read", "GET", True),
        ("read", "HEAD", False),  # passes the guard, and the route has no HEAD: 405
        ("read", "POST", False),
        ("read", "DELETE", False),
        ("read", "OPTIONS", False),
        ("write", "POST", True),
        ("write", "PATCH", True),
        ("admin", "DELETE", True),
    ],
)
async def test_reading_needs_read_and_everything_else_the_manifests_level(run_host, level, method, allowed):
    async with run_host(*MODULES) as host:
        client = await host.sign_in(caisse=level)
        response = await client.request(method, "/api/modules/till/secret")
        assert (response.status_code == 200) == allowed
        if not allowed:
            assert response.status_code == (405 if method == "HEAD" else 403)


async def test_another_section_does_not_help(run_host):
    async with run_host(*MODULES) as host:
        client = await host.sign_in(users="admin", config="admin")
        assert code_of(await client.get("/api/modules/till/secret")) == "not_allowed"
        assert (await client.get("/api/modules/members/secret")).status_code == 200


async def test_unknown_modules_are_not_there_and_say_nothing_to_strangers(run_host):
    async with run_host(*MODULES) as host:
        assert (await host.http.get("/api/modules/other/x")).status_code == 401
        client = await host.sign_in()
        response = await client.get("/api/modules/other/x")
        assert (response.status_code, code_of(response)) == (404, "not_found")


async def test_permissions_hold_from_the_next_request(run_host):
    async with run_host(*MODULES) as host:
        client = await host.sign_in(caisse="write")
        assert (await client.get("/api/modules/till/secret")).status_code == 200
        (user,) = await host.app.state.auth.users()
        await host.app.state.auth.set_permissions(user.name, {"caisse": "none"})
        assert (await client.get("/api/modules/till/secret")).status_code == 403


class TestCrossOrigin:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.test"},
            {"Origin": "null"},
            {"Origin": "http://shop.test.evil.test"},
            {"Origin": "http://shop.test:8000"},
            {"Origin": "http://shop.test@evil.test"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "cross-site", "Origin": "http://shop.test"},
        ],
    )
    async def test_changes_that_another_site_asks_for_are_refused(self, run_host, headers):
        async with run_host(*MODULES) as host:
            client = await host.sign_in()
            response = await client.post("/api/modules/till/secret", headers=headers)
            assert (response.status_code, code_of(response)) == (403, "cross_origin")
            credentials = {"name": "x", "password": "y"}
            assert (await client.post("/api/auth/sign-in", json=credentials, headers=headers)).status_code == 403

    @pytest.mark.parametrize(
        "headers",
        [{}, {"Origin": "http://shop.test"}, {"Origin": "https://SHOP.test"}, {"Sec-Fetch-Site": "same-origin"}],
    )
    async def test_the_shops_own_pages_and_scripts_are_not(self, run_host, headers):
        async with run_host(*MODULES) as host:
            client = await host.sign_in()
            assert (await client.post("/api/modules/till/secret", headers=headers)).status_code == 200

    async def test_reading_is_the_browsers_business(self, run_host):
        async with run_host(*MODULES) as host:
            client = await host.sign_in()
            response = await client.get("/api/modules/till/secret", headers={"Sec-Fetch-Site": "cross-site"})
            assert response.status_code == 200
            assert "access-control-allow-origin" not in response.headers


@asynccontextmanager
async def served(app: FastAPI, http: str, root_path: str = "") -> AsyncIterator[int]:
    """Serve an app whose lifespan runs already on a real server; yields the port."""
    config = uvicorn.Config(
        app, port=0, lifespan="off", log_config=None, http=http, root_path=root_path, ws="websockets-sansio"
    )
    server = uvicorn.Server(config)
    server.config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await server.shutdown()


async def raw_request(port: int, target: str, *, method: str = "GET", headers: tuple[str, ...] = ()) -> str:
    """Send a request line as it stands and return the whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{method} {target} HTTP/1.1", "Host: shop.test", "Connection: close", *headers, "", ""]
    writer.write("\r\n".join(lines).encode("latin-1"))
    answer = (await reader.read()).decode("latin-1")
    writer.close()
    await writer.wait_closed()
    return answer


TRICKS = [
    "//api/modules/till/secret",
    "/api//modules/till/secret",
    "/api/modules//till/secret",
    "/api/modules/till//secret",
    "/api/modules/till/./secret",
    "/api/modules/x/../till/secret",
    "/api/modules/members/../till/secret",
    "/api/modules/members/..%2ftill/secret",
    "/api/modules/members%2f..%2ftill/secret",
    "/api/modules%2ftill%2fsecret",
    "/api%2fmodules%2ftill%2fsecret",
    "/%61pi/modules/till/secret",
    "/api/modules/%74ill/secret",
    "/api/modules/%2574ill/secret",
    "/API/modules/till/secret",
    "/api/modules/TILL/secret",
    "/api/modules/till%00/secret",
    "/api/modules/till;x=1/secret",
    "/api/modules/till\\secret",
    "/api/modules/till/secret/",
    "/api/modules/till/secret?/api/auth/me",
    "/api/auth/../modules/till/secret",
    "/health/../api/modules/till/secret",
    "http://shop.test/api/modules/till/secret",
    "http://evil.test/api/modules/till/secret",
    "/api/modules/till/any/../secret",
    "/api/modules/till/files//raw",
    "/api/modules/till/files/raw",
    "/api/modules/till/any/%2e%2e/%2e%2e/x",
]


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_no_spelling_of_a_path_gets_past(run_host, http):
    async with run_host(*MODULES) as host, served(host.app, http) as port:
        for target in TRICKS:
            for method in ["GET", "POST", "get", "PROPFIND"]:
                answer = await raw_request(port, target, method=method)
                assert SECRET not in answer, (method, target)
                page = answer.split()[1] == "200" and "content-type: text/html" in answer.lower()  # the application's
                assert page or answer.split()[1] in ("307", "400", "401", "404", "405"), (method, target, answer)


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_a_user_of_another_section_gets_no_further(run_host, http):
    async with run_host(*MODULES) as host, served(host.app, http) as port:
        client = await host.sign_in(users="admin")
        cookie = f"Cookie: {COOKIE}={client.cookies[COOKIE]}"
        assert SECRET in await raw_request(port, "/api/modules/members/secret", headers=(cookie,))
        for target in TRICKS:
            for header in ["X-Forwarded-Prefix: /api", "X-Original-URL: /api/modules/till/secret", "X-Y: z"]:
                assert SECRET not in await raw_request(port, target, headers=(cookie, header)), (target, header)


async def test_behind_a_path_of_a_proxy_the_guard_holds(run_host):
    async with run_host(*MODULES) as host, served(host.app, "h11", root_path="/shop") as port:
        assert "401" in await raw_request(port, "/api/modules/till/secret")
        client = await host.sign_in()
        cookie = f"Cookie: {COOKIE}={client.cookies[COOKIE]}"
        assert SECRET in await raw_request(port, "/api/modules/till/secret", headers=(cookie,))


async def test_the_method_of_the_request_line_counts(run_host):
    async with run_host(*MODULES) as host:
        client = await host.sign_in(caisse="read")
        for headers in [{"X-HTTP-Method-Override": "GET"}, {"X-HTTP-Method": "GET"}]:
            assert (await client.post("/api/modules/till/secret?_method=GET", headers=headers)).status_code == 403


class TestWebsocket:
    @asynccontextmanager
    async def connect(self, port: int, **headers: str) -> AsyncIterator[Any]:
        async with connect(
            f"ws://127.0.0.1:{port}/api/modules/till/ws", additional_headers=headers, proxy=None
        ) as socket:
            yield socket

    async def refused(self, port: int, **headers: str) -> int:
        with pytest.raises(InvalidStatus) as caught:
            async with self.connect(port, **headers):
                pytest.fail("it must not open")
        return caught.value.response.status_code

    async def test_a_websocket_needs_the_manifests_level(self, run_host):
        async with run_host(*MODULES) as host, served(host.app, "h11") as port:
            assert await self.refused(port) == 403
            client = await host.sign_in(caisse="read")
            assert await self.refused(port, Cookie=f"{COOKIE}={client.cookies[COOKIE]}") == 403
            client = await host.sign_in(caisse="write")
            cookie = f"{COOKIE}={client.cookies[COOKIE]}"
            async with self.connect(port, Cookie=cookie) as socket:
                assert await socket.recv() == SECRET
            assert await self.refused(port, Cookie=cookie, Origin="http://evil.test") == 403
