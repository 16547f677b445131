"""Several real worker processes share the work: each event once; a killed one's events are handled by the others."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.slow

MODULES = Path(__file__).parent / "modules"
PASSWORD = "un mot de passe pour les tests"


@dataclass(frozen=True)
class Handling:
    """One line of the account that the counter module keeps."""

    step: str
    pid: int
    number: int
    event_id: str
    attempt: int


@dataclass
class Shop:
    """An installation in a folder of its own: configuration, data, embedded Redis, and the processes started for it."""

    folder: Path
    port: int

    @property
    def account(self) -> list[Handling]:
        path = self.folder / "account.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        words = [line.split() for line in lines]
        return [Handling(step, int(pid), int(n), event, int(attempt)) for step, pid, n, event, attempt in words]

    def ended(self) -> list[Handling]:
        return [handling for handling in self.account if handling.step == "end"]

    def configure(self, *, seconds: float) -> None:
        (self.folder / "config.toml").write_text(
            f"""
[modules]
enabled = ["counter"]
path = ["{MODULES}"]

[modules.counter]
file = "{self.folder / "account.txt"}"
seconds = {seconds}
"""
        )

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "recyclic", *words]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "RECYCLIC_CONFIG": str(self.folder / "config.toml")}

    def call(self, *words: str, text: str | None = None) -> None:
        subprocess.run(self.command(*words), env=self.environment(), input=text, text=True, check=True, timeout=60)

    @contextlib.contextmanager
    def process(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        log = (self.folder / f"{words[0]}-{time.monotonic_ns()}.log").open("wb")
        process = subprocess.Popen(
            words, env=self.environment(), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            log.close()

    def logs(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in self.folder.glob("*.log"))

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Watch another process from outside: look until the condition holds, at most `seconds`."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not seen in {seconds} s: {what}\n{self.logs()}")
            time.sleep(0.02)  # between two looks at another process, which has no way to tell us

    def is_up(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health/ready", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    @contextlib.contextmanager
    def signed_in(self) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30) as client:
            answer = client.post("/api/auth/sign-in", json={"name": "benevole", "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            yield client


@pytest.fixture
def shop(tmp_path: Path, free_port: int) -> Iterator[Shop]:
    shop = Shop(tmp_path, free_port)
    shop.configure(seconds=0.0)
    shop.call("db", "upgrade")
    shop.call("users", "add", "benevole", "--permission", "config=write", "--password-stdin", text=PASSWORD)
    yield shop
    stop_embedded_redis(tmp_path)


def stop_embedded_redis(folder: Path) -> None:
    """End the Redis that outlives the workers: the one whose files lie in `folder`."""
    for pid_file in folder.rglob("*.pid"):
        with contextlib.suppress(ProcessLookupError, ValueError):
            os.kill(int(pid_file.read_text()), signal.SIGTERM)


def gunicorn(port: int, workers: int) -> list[str]:
    return [
        *(sys.executable, "-m", "gunicorn", "recyclic.core.asgi:app", "--bind", f"127.0.0.1:{port}"),
        *("--workers", str(workers), "--worker-class", "uvicorn_worker.UvicornWorker", "--graceful-timeout", "15"),
    ]


@pytest.mark.parametrize("loaded", ["in each worker", "before the fork"])
def test_pitfall_34_two_gunicorn_workers_handle_each_event_once(shop: Shop, loaded: str) -> None:
    """200 events, two uvicorn workers under gunicorn: each event once, and both workers had a share.

    With `--preload` both have the same application object: it opens its Redis in each of them.
    """
    shop.configure(seconds=0.005)
    with shop.process(*gunicorn(shop.port, 2), *(["--preload"] if loaded == "before the fork" else [])):
        shop.until(shop.is_up, "gunicorn answers /health/ready")
        with shop.signed_in() as client:
            for _ in range(10):
                assert client.post("/api/modules/counter/pings", json={"count": 20}).status_code == 202
        shop.until(lambda: len(shop.ended()) >= 200, "200 handlings")
    by_event = Counter(handling.event_id for handling in shop.ended())
    assert len(by_event) == 200
    assert set(by_event.values()) == {1}
    assert len({handling.pid for handling in shop.ended()}) == 2


def test_whichever_worker_answers_the_metrics_are_of_all(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """`recyclic serve --workers 2` gathers the counters: whoever is asked tells all 200 handlings."""
    shop.configure(seconds=0.005)
    token = "a token that a scraper shows"
    monkeypatch.setenv("RECYCLIC_METRICS__TOKEN", token)

    def handled() -> str:
        headers = {"Authorization": f"Bearer {token}"}
        text = httpx.get(f"http://127.0.0.1:{shop.port}/metrics", headers=headers, timeout=10).text
        lines = [line for line in text.splitlines() if line.startswith("recyclic_events_handled_total{")]
        return lines[0] if lines else text

    with shop.process(*shop.command("serve", "--port", str(shop.port), "--workers", "2")):
        shop.until(shop.is_up, "the host answers /health/ready")
        with shop.signed_in() as client:
            for _ in range(10):
                assert client.post("/api/modules/counter/pings", json={"count": 20}).status_code == 202
        shop.until(lambda: len(shop.ended()) >= 200, "200 handlings")
        wanted = 'recyclic_events_handled_total{event="ping_sent",group="counter"} 200.0'
        shop.until(lambda: handled() == wanted, "all of them counted")
        assert {handled() for _ in range(8)} == {wanted}
    assert len({handling.pid for handling in shop.ended()}) == 2, "one worker did it all: the test proved nothing"


def test_a_killed_worker_loses_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL in the middle of handlers: what the dead worker held is handled by the other, marked as a retry."""
    shop.configure(seconds=0.05)
    monkeypatch.setenv("RECYCLIC_BUS__LEASE", "1")
    serve, worker = shop.command("serve", "--port", str(shop.port)), shop.command("worker")
    with shop.process(*serve), shop.process(*worker) as victim:
        shop.until(shop.is_up, "the host answers /health/ready")
        with shop.signed_in() as client:
            assert client.post("/api/modules/counter/pings", json={"count": 200}).status_code == 202
            shop.until(lambda: any(h.pid == victim.pid for h in shop.account), "the worker handles something")
            os.kill(victim.pid, signal.SIGKILL)
            shop.until(lambda: len({h.number for h in shop.ended()}) == 200, "every event handled to its end")
    begun = {handling.event_id for handling in shop.account if handling.pid == victim.pid}
    ended = {handling.event_id for handling in shop.ended() if handling.pid == victim.pid}
    held = begun - ended
    assert held, "the worker died between two handlers: the test proved nothing"
    second = {handling.event_id: handling.attempt for handling in shop.ended() if handling.event_id in held}
    assert set(second) == held
    assert set(second.values()) == {2}
