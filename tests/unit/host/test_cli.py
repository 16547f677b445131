"""The commands, as a user runs them: `users`, `db` and `modules` in this process, `serve` and `worker` as real ones."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from recyclic.cli import build
from recyclic.core.redis_process import spawn_server
from tests.unit.host.conftest import CODE, MANIFEST

pytestmark = pytest.mark.slow  # processes of their own

UI_MANIFEST = MANIFEST + '[events]\nemits = ["weighed"]\nconsumes = ["sale_closed"]\ngroup = "scales"\n'


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_module) -> Path:
    """A folder with a configuration and one module in it, which is where the commands run."""
    write_module("rcy_scale", UI_MANIFEST)
    (tmp_path / "config.toml").write_text(
        '[modules]\nenabled = ["rcy_scale"]\npath = ["modules"]\n[server]\nport = 0\n[log]\nformat = "json"\n'
    )
    for name in [name for name in os.environ if name.startswith("RECYCLIC_") or name in ("REDIS_URL", "DATABASE_URL")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, typed: str | None = None) -> str:
    result = CliRunner().invoke(build(), arguments, input=typed, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def error_of(*arguments: str, typed: str | None = None) -> str:
    """Run `recyclic` through its entry point; return what it says on standard error, without a traceback."""
    command = [sys.executable, "-c", "from recyclic.cli import main; main()", *arguments]
    done = subprocess.run(command, input=typed, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr
    return done.stderr


class TestUsers:
    def test_add_list_remove(self):
        said = run(
            "users", "add", "Ana", "-p", "caisse=write", "-p", "users=read", "--password-stdin", typed="a long one\n"
        )
        assert said == "Added Ana.\n"
        assert json.loads(run("users", "list", "--json")) == [
            {"name": "Ana", "permissions": {"caisse": "write", "users": "read"}}
        ]
        assert "caisse=write, users=read" in run("users", "list")
        run("users", "remove", "Ana")
        assert json.loads(run("users", "list", "--json")) == []
        assert "recyclic users add NAME --admin" in run("users", "list")

    def test_a_password_is_made_and_shown_once_where_nobody_can_be_asked(self):
        said = run("users", "add", "Ana", "--admin", typed="")
        password = said.splitlines()[0].removeprefix("Password (shown this once): ")
        assert len(password) >= 12
        assert json.loads(run("users", "list", "--json"))[0]["permissions"]["config"] == "admin"

    def test_a_password_can_be_changed(self):
        run("users", "add", "Ana", "--admin", "--generate")
        assert "Changed the password of Ana." in run(
            "users", "password", "Ana", "--password-stdin", typed="another one\n"
        )

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            (["add", "Ana"], "give at least one --permission SECTION=LEVEL, or --admin"),
            (["add", "Ana", "-p", "cause=write"], "did you mean caisse?"),
            (["add", "Ana", "-p", "caisse"], "is no level"),
            (["add", "Ana", "--admin", "--password-stdin"], "a password has 8 to 1024 characters"),
            (["remove", "Ana"], "there is no user Ana: see: recyclic users list"),
        ],
    )
    def test_mistakes_are_told(self, arguments, text):
        assert text in " ".join(error_of("users", *arguments, typed="short\n").replace("│", " ").split())

    def test_the_same_name_twice_is_told(self):
        run("users", "add", "Ana", "--admin", "--generate")
        assert "there is a user ana already" in error_of("users", "add", "ana", "--admin")

    def test_a_database_that_is_away_is_told(self, monkeypatch):
        monkeypatch.setenv("RECYCLIC_DATABASE__URL", "postgresql://u:hush@127.0.0.1:1/n")
        said = error_of("users", "list")
        assert "the database cannot be used" in said
        assert "hush" not in said


class TestDb:
    def test_upgrade_current_check(self):
        assert "host: nothing → 0002" in run("db", "upgrade")
        assert "host: 0002, nothing to do" in run("db", "upgrade")
        assert "0002" in run("db", "current")
        assert "up to date and fits the models" in run("db", "check")

    def test_check_fails_where_something_is_missing(self):
        result = CliRunner().invoke(build(), ["db", "check"])
        assert result.exit_code == 1
        assert "run: recyclic db upgrade" in result.stderr

    def test_a_revision_is_written_for_a_module(self, shop):
        code = CODE.replace(
            "class TestedModule(ModuleBase):",
            "from sqlalchemy import Column, Integer, MetaData, Table\nmetadata = MetaData()\n"
            "Table('rcy_scale_reading', metadata, Column('id', Integer, primary_key=True))\n"
            "class TestedModule(ModuleBase):\n    metadata = metadata",
        )
        (shop / "modules" / "rcy_scale" / "__init__.py").write_text(code)
        run("db", "upgrade")
        said = run("db", "revision", "rcy_scale", "-m", "initial")
        written = shop / "modules" / "rcy_scale" / "migrations" / "versions" / "0001_initial.py"
        assert str(written) in said
        assert "rcy_scale: nothing → 0001" in run("db", "upgrade")
        assert "up to date" in run("db", "check")
        assert "nothing has changed" in run("db", "revision", "rcy_scale", "-m", "again")

    def test_an_unknown_history_is_told(self):
        assert "there is no history of rcy_scael: did you mean rcy_scale?" in error_of(
            "db", "revision", "rcy_scael", "-m", "x"
        )


class TestModules:
    def test_the_table_and_the_json_say_what_each_takes_part_in(self):
        table = run("modules")
        for text in ["rcy_scale", "1.0", "caisse/write", "weighed", "sale_closed", "Not enabled: barcodes, caisse"]:
            assert text in table
        answer = json.loads(run("modules", "--json"))
        (row,) = answer["modules"]
        assert row["emits"] == ["weighed"]
        assert row["group"] == "scales"
        assert "caisse" in answer["not_enabled"]

    def test_problems_are_told_line_by_line_without_a_traceback(self, shop):
        (shop / "config.toml").write_text('[modules]\nenabled = ["paheko", "caisse", "scael"]\npath = ["modules"]\n')
        lines = error_of("modules").splitlines()
        assert "recyclic: paheko needs caisse: move caisse before paheko" in lines
        assert any("there is no module 'scael'" in line for line in lines)

    def test_another_configuration_can_be_named(self, shop):
        (shop / "other.toml").write_text("[modules]\nenabled = []\n")
        assert "No module is enabled" in run("modules", "--config", "other.toml")
        assert "RECYCLIC_CONFIG" not in os.environ  # it was for this command only


@pytest.fixture
def start(shop: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `recyclic …` as a process of its own, stopped at the end of the test."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environ: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from recyclic.cli import main; main()", *arguments]
        log = (shop / "log").open("w")
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environ},
        )
        log.close()
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def line_with(process: subprocess.Popen[str], text: str, shop: Path) -> str:
    assert process.stdout
    for line in process.stdout:
        if text in line:
            return line.strip()
    pytest.fail(f"it ended without saying {text!r}:\n{(shop / 'log').read_text()}")


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> int:
    process.send_signal(number)
    return process.wait(timeout=60)


@pytest.fixture
def own_redis() -> Iterator[str]:
    """The URL of a private Redis, so that nothing of the embedded one outlives the test."""
    folder = Path(tempfile.mkdtemp(prefix="rcy-"))
    server = spawn_server(folder, persistent=False)
    yield server.url
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
class TestProcesses:
    @pytest.mark.parametrize("workers", [1, 3])
    def test_serve_answers_prints_its_address_and_stops_when_told(self, start, shop, own_redis, workers):
        (shop / "config.toml").rename(shop / "named.toml")  # each worker is told which file was named
        process = start("serve", "--config", "named.toml", "--workers", str(workers), RECYCLIC_REDIS__URL=own_redis)
        address = line_with(process, "Recyclic runs at http://127.0.0.1:", shop).rpartition(" ")[2]
        with urllib.request.urlopen(f"{address}/health/ready", timeout=30) as response:
            assert json.load(response)["modules"] == {"rcy_scale": "ok"}
        assert httpx.get(f"{address}/api/modules/rcy_scale/x").status_code == 401
        log = (shop / "log").read_text()
        assert "Nobody can sign in yet. Add a user: recyclic users add NAME --admin" in log
        assert stop(process) in (0, -signal.SIGTERM)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{address}/health/live")

    def test_a_host_that_cannot_start_says_why_without_a_traceback(self, start, shop, own_redis):
        code = CODE.replace("startup(self, app, config): ...", "startup(self, app, config): raise OSError('no scale')")
        (shop / "modules" / "rcy_scale" / "__init__.py").write_text(code)
        process = start("serve", RECYCLIC_REDIS__URL=own_redis)
        assert process.wait(timeout=60) != 0
        log = (shop / "log").read_text()
        assert "rcy_scale failed in startup: OSError: no scale" in log
        assert "Traceback" not in log

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_worker_runs_the_modules_and_stops_when_told(self, start, shop, own_redis, number):
        code = CODE.replace(
            "startup(self, app, config): ...", "startup(self, app, config): open('started', 'w').close()"
        )
        code = code.replace("shutdown(self): ...", "shutdown(self): open('stopped', 'w').close()")
        (shop / "modules" / "rcy_scale" / "__init__.py").write_text(code)
        process = start("worker", RECYCLIC_REDIS__URL=own_redis)
        line_with(process, "Recyclic handles events of: rcy_scale", shop)
        assert (shop / "started").exists()
        assert stop(process, number) == 0
        assert (shop / "stopped").exists()
