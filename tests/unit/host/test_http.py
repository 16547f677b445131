"""HTTP: the one error body, request ids, what a failing route answers, the limit on bodies, health, OpenAPI."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import pytest
import structlog
from fastapi import APIRouter, FastAPI, HTTPException, Request
from pydantic import BaseModel
from sqlalchemy.exc import OperationalError
from starlette.responses import StreamingResponse

from recyclic import ApiError
from recyclic.core.events.context import current_cause
from recyclic.errors import BusError, PermissionDeniedError
from tests.unit.host.conftest import Quiet


class Line(BaseModel):
    quantity: int


class Ticket(BaseModel):
    lines: list[Line]


class Till(Quiet):
    def register_routes(self, app: FastAPI) -> None:
        router = APIRouter(prefix="/api/modules/till")

        @router.post("/tickets")
        async def ticket(ticket: Ticket, limit: int = 1) -> int:
            return len(ticket.lines)

        @router.get("/closed")
        async def closed() -> None:
            raise ApiError(409, "session_closed", "Closed.", [("a.0", "b")], details={"session_id": "s1"})

        @router.get("/fails")
        async def fails() -> None:
            raise RuntimeError("the secret reason")

        @router.get("/plain")
        async def plain() -> None:
            raise HTTPException(418, "teapot", headers={"X-Tea": "1"})

        @router.get("/denied")
        async def denied() -> None:
            raise PermissionDeniedError("not you")

        @router.get("/halfway")
        async def halfway() -> StreamingResponse:
            async def chunks() -> AsyncIterator[bytes]:
                yield b"some"
                raise RuntimeError("halfway")

            return StreamingResponse(chunks())

        @router.post("/raw")
        async def raw(request: Request) -> int:
            return len(await request.body())

        @router.get("/cause")
        async def cause() -> list[str | None]:
            return list(current_cause())

        app.include_router(router)


@pytest.fixture
async def client(run_host, config) -> AsyncIterator[httpx.AsyncClient]:
    small = config.model_copy(update={"server": config.server.model_copy(update={"max_body_bytes": 1000})})
    async with run_host(("till", Till), config=small) as host:
        yield await host.sign_in()


TILL = "/api/modules/till"


async def test_an_api_error_is_answered_whole(client):
    response = await client.get(f"{TILL}/closed")
    assert response.status_code == 409
    assert response.json() == {
        "error": {
            "code": "session_closed",
            "message": "Closed.",
            "fields": [{"path": "a.0", "message": "b"}],
            "request_id": response.headers["x-request-id"],
            "details": {"session_id": "s1"},
        }
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"{TILL}/nowhere", 404, "not_found"),
        ("GET", "/api/nowhere", 404, "not_found"),
        ("GET", "/api", 404, "not_found"),
        ("GET", "/health/nowhere", 404, "not_found"),
        ("DELETE", f"{TILL}/closed", 405, "method_not_allowed"),
        ("POST", "/somewhere", 405, "method_not_allowed"),
        ("GET", f"{TILL}/plain", 418, "error"),
        ("GET", f"{TILL}/denied", 403, "not_allowed"),
        ("POST", f"{TILL}/tickets", 422, "invalid_input"),
        ("GET", f"{TILL}/fails", 500, "internal_error"),
    ],
)
async def test_every_error_has_the_same_body(client, method, path, status, code):
    response = await client.request(method, path)
    assert response.status_code == status
    error = response.json()["error"]
    assert error["code"] == code
    assert set(error) == {"code", "message", "fields", "request_id"}
    assert error["request_id"] == response.headers["x-request-id"]


async def test_headers_of_an_error_are_kept(client):
    assert (await client.get(f"{TILL}/plain")).headers["x-tea"] == "1"
    assert "GET" in (await client.delete(f"{TILL}/closed")).headers["allow"]


async def test_wrong_input_names_every_field(client):
    response = await client.post(f"{TILL}/tickets?limit=x", json={"lines": [{"quantity": 1}, {"quantity": "many"}, {}]})
    assert [field["path"] for field in response.json()["error"]["fields"]] == [
        "limit",
        "lines.1.quantity",
        "lines.2.quantity",
    ]


@pytest.mark.parametrize(
    "body", [b"{", b"\xff\xfe", b"null", b"[" * 900, b'{"lines": ' + b"[" * 400 + b"]" * 400 + b"}"]
)
async def test_broken_json_is_the_callers_mistake(client, body):
    response = await client.post(f"{TILL}/tickets", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in (400, 422)
    assert response.json()["error"]["code"] in ("bad_request", "invalid_input")


async def test_a_failing_route_tells_the_log_and_not_the_client(client):
    with structlog.testing.capture_logs() as logs:
        response = await client.get(f"{TILL}/fails")
    assert "secret reason" not in response.text
    assert "Traceback" not in response.text
    (record,) = [log for log in logs if log["log_level"] == "error"]
    assert record["exc_info"] is True
    assert record["path"] == f"{TILL}/fails"


async def test_a_failure_in_the_middle_of_an_answer_cuts_it(client):
    with pytest.raises(RuntimeError, match="halfway"):
        await client.get(f"{TILL}/halfway")


async def test_every_answer_has_the_safe_headers(client):
    for path in ["/health/live", "/", f"{TILL}/fails", "/api/nowhere"]:
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"


class TestRequestId:
    async def test_each_answer_has_one(self, client):
        one, two = [await client.get("/health/live") for _ in range(2)]
        assert re.fullmatch("[0-9a-f]{32}", one.headers["x-request-id"])
        assert one.headers["x-request-id"] != two.headers["x-request-id"]

    async def test_a_callers_own_is_taken_over(self, client):
        response = await client.get(f"{TILL}/cause", headers={"X-Request-Id": "trace-0001"})
        assert response.headers["x-request-id"] == "trace-0001"
        assert response.json() == ["trace-0001", "trace-0001"]

    @pytest.mark.parametrize("sent", ["", "short", "x" * 65, "a b c d e f g", "<script>alert(1)</script>", "12345678é"])
    async def test_an_unsafe_one_is_replaced(self, client, sent):
        response = await client.get("/health/live", headers={"X-Request-Id": sent.encode()})
        assert response.headers["x-request-id"] != sent

    async def test_events_of_a_request_are_caused_by_it(self, client):
        response = await client.get(f"{TILL}/cause")
        assert response.json() == [response.headers["x-request-id"]] * 2

    async def test_refusals_of_the_guard_have_one_too(self, client):
        client.cookies.clear()
        response = await client.get(f"{TILL}/cause")
        assert response.json()["error"]["request_id"] == response.headers["x-request-id"]


class TestBodyLimit:
    @pytest.mark.parametrize("path", ["/raw", "/tickets"])
    async def test_a_body_that_says_it_is_too_large_is_refused(self, client, path):
        response = await client.post(TILL + path, content=b"x" * 1001)
        assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")

    @pytest.mark.parametrize("path", ["/raw", "/tickets"])
    async def test_a_body_that_does_not_say_it_is_refused_where_it_grows_too_large(self, client, path):
        sent = 0

        async def chunks() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(100):
                sent += 100
                yield b"x" * 100

        headers = {"Content-Type": "application/json"}
        response = await client.post(TILL + path, content=chunks(), headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")
        assert sent <= 1200

    async def test_a_body_of_just_the_limit_passes(self, client):
        assert (await client.post(f"{TILL}/raw", content=b"x" * 1000)).json() == 1000


class TestHealth:
    async def test_live_and_ready(self, client):
        client.cookies.clear()
        assert (await client.get("/health/live")).json() == {"status": "ok"}
        response = await client.get("/health/ready")
        assert response.json() == {
            "status": "ready",
            "reasons": [],
            "checks": {
                "database": "ok",
                "redis": "ok",
                "persistence": "ok",
                "dead_letters": "ok",
                "backlog": "ok",
                "outbox": "ok",
            },
            "modules": {"till": "ok"},
            "topology": "given",
        }

    async def test_without_a_database_it_is_not_ready(self, run_host, monkeypatch):
        async with run_host(("till", Quiet)) as host:

            async def away(*_: object) -> None:
                raise OperationalError("SELECT 1", {}, Exception("away"))

            monkeypatch.setattr(host.app.state.database, "ping", away)
            with structlog.testing.capture_logs() as logs:
                response = await host.http.get("/health/ready")
            assert response.status_code == 503
            assert response.json()["status"] == "unavailable"
            assert "away" not in response.text
            assert logs[0]["check"] == "database"

    async def test_without_redis_it_takes_on_work_all_the_same(self, run_host, monkeypatch):
        async with run_host(("till", Quiet)) as host:

            async def away() -> None:
                raise BusError("away")

            monkeypatch.setattr(host.app.state.streams, "probe", away)
            response = await host.http.get("/health/ready")
            assert response.status_code == 200
            assert response.json()["status"] == "degraded"
            assert response.json()["reasons"] == ["redis_away"]
            assert response.json()["checks"]["redis"] == "failed"
            assert response.json()["checks"]["backlog"] == "unknown"

    async def test_a_module_in_trouble_is_named(self, run_host):
        class Sick(Quiet):
            async def health(self) -> str | None:
                return "the accounting server does not answer"

        class Sicker(Quiet):
            async def health(self) -> str | None:
                raise KeyError("x")

        async with run_host(("a", Quiet), ("b", Sick), ("c", Sicker)) as host:
            response = await host.http.get("/health/ready")
            assert response.status_code == 200
            assert response.json()["modules"] == {"a": "ok", "b": "failed", "c": "failed"}
            assert response.json()["reasons"] == ["module b", "module c"]
            assert "accounting" not in response.text

    async def test_a_check_that_hangs_has_failed(self, run_host, monkeypatch):
        monkeypatch.setattr("recyclic.core.observability.CHECK_SECONDS", 0.01)

        class Hanging(Quiet):
            async def health(self) -> str | None:
                await asyncio.Event().wait()
                return None

        async with run_host(("a", Hanging)) as host:
            assert (await host.http.get("/health/ready")).json()["modules"] == {"a": "failed"}


class TestOpenApi:
    async def test_administrators_get_it_with_the_modules_routes(self, client):
        response = await client.get("/api/openapi.json")
        assert f"{TILL}/tickets" in response.json()["paths"]
        assert "/api/auth/sign-in" in response.json()["paths"]

    async def test_others_do_not(self, run_host):
        async with run_host(("till", Till)) as host:
            assert (await host.http.get("/api/openapi.json")).status_code == 401
            client = await host.sign_in(caisse="admin")
            assert (await client.get("/api/openapi.json")).status_code == 403

    @pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/api/docs"])
    async def test_there_are_no_pages_that_load_scripts_from_elsewhere(self, client, path):
        response = await client.get(path)
        assert "swagger" not in response.text.lower()
        assert "redoc" not in response.text.lower()
