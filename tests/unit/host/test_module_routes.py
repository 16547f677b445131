"""What a module may serve: only paths that the guard sees as its own."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse
from starlette.applications import Starlette
from starlette.routing import Host, Mount, Route

from recyclic.errors import LifecycleError
from tests.unit.host.conftest import Quiet


async def answer() -> str:
    return "x"


async def plain(request: Any) -> PlainTextResponse:
    return PlainTextResponse("x")


def router(prefix: str = "", path: str = "/x") -> APIRouter:
    made = APIRouter(prefix=prefix)
    made.add_api_route(path, answer)
    return made


def nested(prefix: str) -> APIRouter:
    outer = APIRouter(prefix=prefix)
    outer.include_router(router())
    return outer


OUTSIDE = {
    "a plain route": (lambda app: app.get("/x")(answer), "the route /x lies outside /api/modules/till/"),
    "a router": (lambda app: app.include_router(router("/api/tills")), "/api/tills/x"),
    "a nested router": (lambda app: app.include_router(nested("/other")), "/other/x"),
    "another module's": (lambda app: app.include_router(router("/api/modules/caisse")), "/api/modules/caisse/x"),
    "a longer id": (lambda app: app.include_router(router("/api/modules/tills")), "/api/modules/tills/x"),
    "a parameter in the id": (lambda app: app.get("/api/modules/till{x}")(answer), "/api/modules/till{x}"),
    "a parameter for the id": (lambda app: app.get("/api/modules/{x}/y")(answer), "/api/modules/{x}/y"),
    "a mount of everything": (lambda app: app.mount("", Starlette()), "the route / lies outside"),
    "a mount beside": (lambda app: app.mount("/files", Starlette()), "/files"),
    "a mount in a router": (lambda app: app.include_router(with_mount("/files")), "/files"),
    "a websocket": (lambda app: app.add_api_websocket_route("/ws", answer), "/ws"),
    "a Starlette route": (lambda app: app.router.routes.append(Route("/raw", plain)), "/raw"),
    "a host": (
        lambda app: app.router.routes.append(Host("evil.test", Starlette())),
        "Host routes are matched by something",
    ),
    "a front end": (lambda app: app.frontend("/", directory="."), "may not serve a front end of its own"),
    "a front end in a router": (lambda app: app.include_router(with_front_end()), "may not serve a front end"),
    "taking the host's away": (lambda app: app.router.routes.clear(), "changed routes that are not the module's"),
    "going before the host's": (
        lambda app: app.router.routes.insert(0, Route("/health/live", plain)),
        "changed routes",
    ),
}


def with_mount(path: str) -> APIRouter:
    made = APIRouter()
    made.mount(path, Starlette())
    return made


def with_front_end() -> APIRouter:
    made = APIRouter()
    made.frontend("/", directory=".")
    return made


@pytest.mark.parametrize("name", OUTSIDE)
async def test_routes_outside_the_modules_prefix_are_refused_at_boot(run_host, name):
    register, text = OUTSIDE[name]

    class Module(Quiet):
        def register_routes(self, app: FastAPI) -> None:
            register(app)

    with pytest.raises(LifecycleError) as caught:
        async with run_host(("till", Module)):
            pytest.fail("it must not start")
    assert caught.value.step == "register_routes"
    assert text in str(caught.value)


async def test_all_routes_outside_are_told_with_the_remedy(run_host):
    class Module(Quiet):
        def register_routes(self, app: FastAPI) -> None:
            app.include_router(router("/one"))
            app.include_router(router("/two"))

    with pytest.raises(LifecycleError) as caught:
        async with run_host(("till", Module)):
            pytest.fail("it must not start")
    assert "/one/x" in str(caught.value)
    assert "/two/x" in str(caught.value)
    assert 'give its router prefix="/api/modules/till"' in str(caught.value)


async def test_routes_of_every_kind_inside_the_prefix_are_served(run_host):
    class Module(Quiet):
        def register_routes(self, app: FastAPI) -> None:
            app.include_router(nested("/api/modules/till"))
            app.get("/api/modules/till")(answer)
            app.mount("/api/modules/till/files", Starlette(routes=[Mount("/sub", routes=[Route("/raw", plain)])]))

    async with run_host(("till", Module)) as host:
        client = await host.sign_in()
        for path in ["/x", "", "/files/sub/raw"]:
            assert (await client.get(f"/api/modules/till{path}")).status_code == 200, path


async def test_a_route_added_during_startup_is_seen_too(run_host):
    class Module(Quiet):
        def register_routes(self, app: FastAPI) -> None:
            self.router = APIRouter()
            self.router.add_api_route("/api/modules/till/x", answer)
            app.include_router(self.router)

        async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
            self.router.add_api_route("/late", answer)

    with pytest.raises(LifecycleError, match="the route /late lies outside"):
        async with run_host(("till", Module)):
            pytest.fail("it must not start")


async def test_a_module_cannot_put_itself_around_the_host(run_host):
    class Module(Quiet):
        def register_routes(self, app: FastAPI) -> None:
            app.add_middleware(lambda inner: inner)

    with pytest.raises(LifecycleError, match="till failed in register_routes: RuntimeError"):
        async with run_host(("till", Module)):
            pytest.fail("it must not start")
