"""Hosts for tests: modules made of classes or written as files, on a fake Redis and a SQLite of the test's own."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakeredis
import httpx
import pytest
from fastapi import FastAPI

from recyclic import Config, ModuleBase, create_app
from recyclic.core.auth import COOKIE
from recyclic.core.events.streams import RedisStreams
from recyclic.core.manifest import Dependencies, EventsManifest, Manifest, Permissions
from recyclic.core.module_loader import LoadedModule, ModuleRegistry
from recyclic.core.permissions import Level, Section

MANIFEST = """\
name = "{id}"
version = "1.0"
description = "A module of a test"
[permissions]
section = "caisse"
level = "write"
"""

CODE = """\
from recyclic import ModuleBase
class TestedModule(ModuleBase):
    async def startup(self, app, config): ...
    async def shutdown(self): ...
MODULE_CLASS = TestedModule
"""


class Quiet(ModuleBase):
    """Does nothing, rightly."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None: ...

    async def shutdown(self) -> None: ...


def manifest_of(module_id: str, *, section: str = "caisse", level: str = "write", **more: Any) -> Manifest:
    manifest = Manifest(
        id=module_id,
        name=module_id,
        version="1.0",
        description="A module of a test",
        permissions=Permissions(Section(section), Level(level)),
        events=EventsManifest(group=module_id),
        path=Path("/nowhere") / module_id / "module.toml",
    )
    needs = more.pop("needs", ())
    return replace(manifest, dependencies=Dependencies(modules=tuple(needs)), **more)


def registry_of(*modules: tuple[str, type[ModuleBase]] | tuple[str, type[ModuleBase], Manifest]) -> ModuleRegistry:
    return ModuleRegistry(
        LoadedModule.of(item[0], item[1], item[2] if len(item) > 2 else manifest_of(item[0])) for item in modules
    )


class Host:
    """A running host, and clients signed in to it."""

    def __init__(self, app: FastAPI, client: httpx.AsyncClient) -> None:
        self.app = app
        self.http = client

    async def sign_in(self, **permissions: str) -> httpx.AsyncClient:
        """Return a client signed in as a new user with these permissions; without any, as administrator."""
        auth = self.app.state.auth
        if permissions:
            user = await auth.add_user(f"user {len(await auth.users())}", None, permissions)
        else:
            user = await auth.administrator()
        self.http.cookies.set(COOKIE, auth.cookie_for(user))
        return self.http


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config.build(data_dir=tmp_path / "data", secret_key="s" * 40)


@pytest.fixture
def run_host(config: Config) -> Callable[..., Any]:
    """`async with run_host(("till", TillModule)) as host`: the host's lifespan around a client without a network."""

    @asynccontextmanager
    async def run(*modules: Any, config: Config = config, **options: Any) -> AsyncIterator[Host]:
        redis = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer(), protocol=2)
        streams = RedisStreams(redis, blocking=False)
        app = create_app(config, registry=registry_of(*modules), streams=streams, **options)
        try:
            async with app.router.lifespan_context(app):
                transport = httpx.ASGITransport(app)
                async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
                    yield Host(app, client)
        finally:
            await streams.close()
            await redis.aclose()

    return run


@pytest.fixture
def write_module(tmp_path: Path) -> Callable[..., Path]:
    """`write_module("scale", manifest=…, code=…)`: a module's folder below `tmp_path / "modules"`."""

    def write(module_id: str, manifest: str = MANIFEST, code: str | None = CODE, place: str = "modules") -> Path:
        folder = tmp_path / place / module_id
        folder.mkdir(parents=True)
        (folder / "module.toml").write_text(manifest.replace("{id}", module_id), encoding="utf-8")
        if code is not None:
            (folder / "__init__.py").write_text(code, encoding="utf-8")
        return folder

    return write


@pytest.fixture(autouse=True)
def clean_imports(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Forget what a test imported, and where from."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if not name.startswith(("recyclic", "sqlalchemy", "pydantic")) and name.startswith("rcy"):
            del sys.modules[name]
