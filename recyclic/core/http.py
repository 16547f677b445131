"""HTTP as every route of the host speaks it: the error body, request ids, the limit on bodies."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recyclic.core.events.context import caused_by
from recyclic.errors import PermissionDeniedError

REQUEST_ID = "X-Request-Id"
SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
"""What a client may name its request; another id is replaced."""
_CODES = {
    400: "bad_request",
    401: "not_signed_in",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_input",
    429: "too_many_requests",
    503: "unavailable",
}
_SAFE_DEFAULTS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
log = structlog.get_logger(__name__)


class ApiError(Exception):
    """Raised by a route to answer an error: `ApiError(409, "session_closed", "This session is closed.")`.

    `code` is what the front end translates, `message` is for developers, `fields` name what was wrong in the body,
    `details` are further values that the front end may show.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        fields: Iterable[tuple[str, str]] = (),
        *,
        details: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.fields = tuple(fields)
        self.details = details
        self.headers = headers


def error_response(
    scope: Scope,
    status: int,
    code: str,
    message: str,
    fields: Sequence[tuple[str, str]] = (),
    *,
    details: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return the one error body that the API has."""
    error: dict[str, Any] = {
        "code": code,
        "message": message,
        "fields": [{"path": path, "message": text} for path, text in fields],
        "request_id": scope.get("request_id", ""),
    }
    if details:
        error["details"] = details
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def install_error_handlers(app: FastAPI) -> None:
    """Give every error of `app` the API's error body."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid_input)
    app.add_exception_handler(PermissionDeniedError, _denied)


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_response(
        request.scope,
        error.status,
        error.code,
        error.message,
        error.fields,
        details=error.details,
        headers=error.headers,
    )


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code in (204, 304):
        return Response(status_code=error.status_code, headers=headers)
    code = _CODES.get(error.status_code, "error" if error.status_code < 500 else "internal_error")
    return error_response(request.scope, error.status_code, code, str(error.detail), headers=headers)


async def _invalid_input(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields = [
        (".".join(str(part) for part in item["loc"][1:]) or str(item["loc"][0]), item["msg"]) for item in error.errors()
    ]
    return error_response(request.scope, 422, "invalid_input", "The input does not fit.", fields)


async def _denied(request: Request, error: Exception) -> Response:
    return error_response(request.scope, 403, "not_allowed", str(error))


class RequestContext:
    """ASGI: gives each request an id, the bus's correlation, and an answer when a route fails unexpectedly."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request with its id; what is neither HTTP nor a websocket passes."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        sent = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = sent if SAFE_ID.fullmatch(sent) else uuid.uuid4().hex
        scope["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                for name, value in _SAFE_DEFAULTS.items():
                    headers.setdefault(name, value)
            await send(message)

        with caused_by(request_id, request_id), structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_with_id)
            except Exception:
                if started or scope["type"] == "websocket":
                    raise  # too late for an answer: the server logs it and cuts the connection
                log.exception("a request failed", method=scope["method"], path=scope["path"])
                text = f"Something went wrong on the server; its log says what, under {request_id}."
                await error_response(scope, 500, "internal_error", text)(scope, receive, send_with_id)


class BodyTooLargeError(HTTPException):
    """Raised where a request's body is read and grows beyond the limit; answered as 413."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"The body is larger than {limit} bytes.", headers={"Connection": "close"})


class BodyLimit:
    """ASGI: answers 413 to a body of more than `limit` bytes, whether it says its length or not."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse at once what says its length, and later what does not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if length.isascii() and length.isdigit() and int(length[:20]) > self.limit:
            response = await _http_error(Request(scope), BodyTooLargeError(self.limit))
            await response(scope, receive, send)
            return
        seen = 0

        async def limited_receive() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self.limit:
                    raise BodyTooLargeError(self.limit)
            return message

        await self.app(scope, limited_receive, send)
