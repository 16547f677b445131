"""What tests of every folder may use: a private PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest


def _binary(name: str) -> str | None:
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(debian[-1]) if debian else None)


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root: name somebody else there."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in known), None)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A private PostgreSQL on a unix socket: its folder, which is also where its socket lies."""
    initdb, postgres = _binary("initdb"), _binary("postgres")
    if initdb is None or postgres is None:
        pytest.skip("no PostgreSQL on this machine: install Debian's postgresql, or put initdb and postgres on PATH")
    user = _unprivileged_user()
    if os.geteuid() == 0 and user is None:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres or nobody")
    folder = Path(tempfile.mkdtemp(prefix="rcy-pg-"))
    as_user = {"user": user, "group": None, "extra_groups": []} if user else {}
    if user:
        shutil.chown(folder, user)
    data = folder / "data"
    command = [initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"]
    subprocess.run(command, check=True, capture_output=True, cwd=folder, **as_user)
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([postgres, "-D", str(data), *options], stdout=log, stderr=log, cwd=folder, **as_user)
    try:
        ready = _binary("pg_isready")
        assert ready
        wait = f"until {ready} -q -h {folder}; do kill -0 {server.pid} || exit 1; done"
        subprocess.run(["/bin/sh", "-c", wait], check=True, timeout=60)
        yield str(folder)
    finally:
        server.terminate()
        server.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def postgres_url(postgres_server: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The URL of an empty database of the test's own."""
    asyncpg = pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install 'recyclic[postgres]'")
    name = f"t{abs(hash(request.node.nodeid)):x}"
    connection = await asyncpg.connect(host=postgres_server, user="postgres", database="postgres")
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
        yield f"postgresql://postgres@/{name}?host={quote(postgres_server, safe='')}"
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await connection.close()
