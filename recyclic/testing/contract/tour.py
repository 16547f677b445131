"""The tour: every route of a booted module, asked as nobody, with too little permission, and with enough."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import quote

import httpx
from fastapi import FastAPI

from recyclic.core.auth import COOKIE
from recyclic.core.guard import READING, module_prefix
from recyclic.core.manifest import Manifest
from recyclic.core.permissions import Level, Section
from recyclic.testing.contract.job import Wire
from recyclic.testing.contract.observed import Answer, Route
from recyclic.testing.contract.probe import Entering
from recyclic.testing.contract.survey import failure_of
from recyclic.testing.contract.watch import Watch
from recyclic.testing.sampler import Sampler

if TYPE_CHECKING:
    from recyclic.core.auth import Auth

ROUNDS = 3
"""Requests with different input that each route gets from somebody who may."""

_METHODS = ("get", "post", "put", "patch", "delete")
Who = Literal["anonymous", "too little", "enough"]


class Errors(Protocol):
    """Keeps the exception of the last request that failed unexpectedly."""

    last: BaseException | None


@dataclass(frozen=True)
class Operation:
    """One route with one method, and what its documentation says of its input."""

    method: str
    path: str
    details: Mapping[str, Any] = field(default_factory=dict)


class Tour:
    """Asks every route and tells what it answered."""

    def __init__(
        self, app: FastAPI, manifest: Manifest, wire: Wire, watch: Watch, steps: Entering, errors: Errors
    ) -> None:
        self._app = app
        self._manifest = manifest
        self._wire = wire
        self._watch = watch
        self._steps = steps
        self._errors = errors
        self._random = Random(manifest.id)  # noqa: S311 - input, not secrets
        self._document: dict[str, Any] = {}

    async def run(self, routes: Iterable[Route]) -> None:
        """Ask as nobody and as somebody who may too little first: nothing has changed then."""
        operations = list(self._operations(routes))
        cookies = await self._cookies()
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self._app, raise_app_exceptions=True), base_url="http://testserver"
        ) as client:
            for who in ("anonymous", "too little", "enough"):
                for operation in operations:
                    for _ in range(ROUNDS if who == "enough" else 1):
                        if not await self._ask(client, operation, who, cookies):
                            break  # it does not answer; once is enough

    def _operations(self, routes: Iterable[Route]) -> Iterator[Operation]:
        try:
            self._document = self._app.openapi()
        except Exception:  # noqa: BLE001 - a route that cannot be documented is asked without input
            self._document = {}
        documented: set[tuple[str, str]] = set()
        prefix = module_prefix(self._manifest.id)
        for path, methods in self._document.get("paths", {}).items():
            for method, details in methods.items():
                if method in _METHODS and (path + "/").startswith(prefix):
                    documented.add((method.upper(), path))
                    shared = methods.get("parameters", [])
                    yield Operation(
                        method.upper(), path, {**details, "parameters": [*shared, *details.get("parameters", [])]}
                    )
        for route in routes:
            for method in route.methods:
                plain = route.path.replace(":path}", "}")
                if method.lower() in _METHODS and (method, plain) not in documented:
                    yield Operation(method, plain)

    async def _cookies(self) -> dict[tuple[Who, bool], str]:
        """Return who, reading → cookie: somebody without the section, somebody a level below, somebody who may."""
        auth: Auth = self._app.state.auth
        section, level = self._manifest.permissions.section, self._manifest.permissions.level
        others = {each: Level.ADMIN for each in Section if each is not section}
        below = list(Level)[level.rank - 1]
        stranger = await auth.add_user("check stranger", None, others)
        lower = await auth.add_user("check lower", None, {**others, section: below})
        allowed = await auth.add_user("check allowed", None, {section: level})
        return {
            ("too little", True): auth.cookie_for(stranger),
            ("too little", False): auth.cookie_for(lower),
            ("enough", True): auth.cookie_for(allowed),
            ("enough", False): auth.cookie_for(allowed),
        }

    async def _ask(
        self, client: httpx.AsyncClient, operation: Operation, who: Who, cookies: Mapping[tuple[Who, bool], str]
    ) -> int:
        """Ask once, tell, and return the status; 0 where there was none."""
        self._steps.enter(f"{operation.method} {operation.path}")
        request = self._request(client, operation)
        if cookie := cookies.get((who, operation.method in READING)):
            request.headers["cookie"] = f"{COOKIE}={cookie}"
        denied, self._errors.last = len(self._watch.denied), None
        failure: BaseException | None = None
        status = 0
        try:
            async with asyncio.timeout(self._steps.limit):
                status = (await client.send(request)).status_code
        except TimeoutError as error:
            failure = error.__cause__ or error
        except Exception as error:  # noqa: BLE001 - it reached the server: a 500 to whoever asks
            status, failure = 500, error
        failure = failure or (self._errors.last if status >= 500 else None)
        self._wire.tell(
            Answer(
                method=operation.method,
                path=operation.path,
                who=who,
                status=status,
                failure=failure_of(failure, self._watch) if failure else None,
                denied=len(self._watch.denied) > denied,
            )
        )
        return status

    def _request(self, client: httpx.AsyncClient, operation: Operation) -> httpx.Request:
        """Return a request whose input fits the route's documentation."""
        sampler = Sampler(self._document, self._random)
        path, query, headers = operation.path, {}, {}
        for parameter in operation.details.get("parameters", []):
            name, place = parameter["name"], parameter["in"]
            if place != "path" and not parameter.get("required") and self._random.random() < 0.5:
                continue
            value = _text(_sampled(sampler, parameter.get("schema", {}), name))
            if place == "path":
                path = path.replace("{" + name + "}", quote(value if isinstance(value, str) else "1", safe="") or "1")
            elif place == "query":
                query[name] = value
            elif place == "header" and isinstance(value, str) and value.isascii():
                headers[name] = value
        while "{" in path and "}" in path:
            path = path[: path.index("{")] + "1" + path[path.index("}") + 1 :]
        body = self._body(sampler, operation)
        headers |= body.pop("headers", {})
        return client.build_request(operation.method, path, params=query, headers=headers, **body)

    def _body(self, sampler: Sampler, operation: Operation) -> dict[str, Any]:
        content = operation.details.get("requestBody", {}).get("content", {})
        for kind, media in content.items():
            schema = media.get("schema", {})
            if kind == "application/json":
                return {"json": _sampled(sampler, schema, "")}
            if kind in {"application/x-www-form-urlencoded", "multipart/form-data"}:
                value = _sampled(sampler, schema, "")
                fields = {key: str(each) for key, each in value.items()} if isinstance(value, dict) else {}
                if kind.startswith("multipart"):
                    return {"files": {key: (None, each) for key, each in fields.items()}}
                return {"data": fields}
            return {"content": b"a;b\n1;2\n", "headers": {"content-type": kind}}
        return {}


def _sampled(sampler: Sampler, schema: Mapping[str, Any], name: str) -> Any:
    try:
        return sampler.sample(schema, name)
    except (ValueError, KeyError, TypeError, IndexError):
        return "1"  # a schema that nothing fits: the route must bear it


def _text(value: Any) -> str | list[str]:
    if isinstance(value, list):
        return [str(each) for each in value]
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
