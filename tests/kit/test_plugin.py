"""The plugin as a guest of pytest: runners of async tests, backends, markers, settings, imports."""

from __future__ import annotations

import subprocess
import sys

import pytest
import redis

from recyclic.core.redis import spawn_server

pytestmark = pytest.mark.slow  # pytest inside pytest

pytest_plugins = ["pytester"]

CLOSE = """
async def test_close(module_host):
    async with module_host.act("close") as trace:
        await module_host.http.post("/api/modules/till/close/a")
    trace.consumed("sale_closed", by="books").ok()
"""

OWN_FIXTURE = """
    async with module_host.act("before"):
        await module_host.http.post("/api/modules/till/close/before")
    yield module_host


async def test_own(shop):
    async with shop.act("close") as trace:
        await shop.http.post("/api/modules/till/close/a")
    trace.emitted("entry_written", session_id="a").once()
"""


def printed(result, text: str) -> bool:
    return any(text in line for line in (*result.outlines, *result.errlines))


class TestRunners:
    """Whoever runs async tests, the host lives on the loop of the test that uses it."""

    def test_pytest_asyncio_in_auto_mode(self, fake_kit):
        own = "\n@pytest.fixture\nasync def shop(module_host):" + OWN_FIXTURE
        fake_kit.run(CLOSE + own).assert_outcomes(passed=2)

    def test_pytest_asyncio_in_strict_mode(self, fake_kit):
        marks = (
            "import pytest_asyncio\npytestmark = [pytest.mark.asyncio, pytest.mark.modules(TillModule, BooksModule)]\n"
        )
        own = "\n@pytest_asyncio.fixture\nasync def shop(module_host):" + OWN_FIXTURE
        fake_kit.run(CLOSE + own, mode="strict", marks=marks).assert_outcomes(passed=2)

    ANYIO = (
        "pytestmark = [pytest.mark.anyio, pytest.mark.modules(TillModule, BooksModule)]\n"
        "@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
    )

    def test_anyio_on_asyncio(self, fake_kit):
        own = "\n@pytest.fixture\nasync def shop(module_host):" + OWN_FIXTURE
        fake_kit.run(CLOSE + own, mode="strict", marks=self.ANYIO).assert_outcomes(passed=2)

    def test_a_test_that_two_plugins_claim_is_told_so(self, fake_kit):
        result = fake_kit.run(CLOSE, mode="auto", marks=self.ANYIO)
        result.assert_outcomes(errors=1)
        assert printed(result, "pytest-asyncio and anyio both claim this test")

    def test_anyio_on_trio_is_refused_by_name(self, fake_kit):
        result = fake_kit.run(CLOSE, mode="strict", marks=self.ANYIO.replace("'asyncio'", "'trio'"))
        result.assert_outcomes(errors=1)
        assert printed(
            result, "module_host runs on asyncio, not on trio: let the fixture anyio_backend return 'asyncio'"
        )

    def test_a_loop_that_the_whole_session_shares(self, fake_kit):
        marks = (
            "pytestmark = [pytest.mark.asyncio(loop_scope='session'), pytest.mark.modules(TillModule, BooksModule)]\n"
        )
        fake_kit.run(CLOSE + CLOSE.replace("test_close", "test_again"), marks=marks).assert_outcomes(passed=2)

    def test_a_sync_test_is_told_what_to_use(self, fake_kit):
        result = fake_kit.run("def test_sync(module_host): pass")
        result.assert_outcomes(errors=1)
        assert printed(result, "module_host is for `async def` tests; a sync test uses ui_host")

    def test_an_async_test_that_nobody_runs_is_told_so(self, fake_kit):
        result = fake_kit.run(CLOSE, mode="strict")
        result.assert_outcomes(errors=1)
        assert printed(result, "nothing runs this async test: mark it @pytest.mark.asyncio")


class TestBackends:
    def test_with_two_every_test_runs_on_both(self, fake_kit):
        result = fake_kit.run(CLOSE, "--recyclic-redis=server", "-v")
        result.assert_outcomes(passed=2)
        assert printed(result, "test_shop.py::test_close[fake] PASSED")
        assert printed(result, "test_shop.py::test_close[server] PASSED")

    def test_the_ini_file_names_them_too(self, fake_kit):
        result = fake_kit.run(CLOSE, "-o", "recyclic_redis=fake server", backend=False)
        result.assert_outcomes(passed=2)

    def test_an_unknown_one_is_refused(self, fake_kit):
        result = fake_kit.run(CLOSE, "--recyclic-redis=memory")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert printed(result, "recyclic: unknown backend 'memory': use fake, server, container, twin, or a URL")

    def test_a_url_where_nothing_answers_is_refused(self, fake_kit):
        result = fake_kit.run(CLOSE, "--recyclic-redis=unix:///nowhere.sock", backend=False)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert printed(result, "no Redis answers at unix:///nowhere.sock")

    def test_a_url_is_used_if_its_database_is_empty(self, fake_kit, tmp_path_factory, monkeypatch):
        monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
        process = spawn_server(tmp_path_factory.mktemp("r"), persistent=False)
        try:
            fake_kit.run(CLOSE, f"--recyclic-redis={process.url}", backend=False).assert_outcomes(passed=1)
            with redis.Redis.from_url(f"{process.url}?db=3") as client:
                client.set("somebody's", "data")
            result = fake_kit.run(CLOSE, f"--recyclic-redis={process.url}?db=3", backend=False)
            result.assert_outcomes(errors=1)
            assert printed(result, "holds 1 keys, and every test would delete them: name an empty one")
        finally:
            process.stop()

    def test_a_url_is_not_shared_by_several_test_processes(self, fake_kit, tmp_path_factory, monkeypatch):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
        process = spawn_server(tmp_path_factory.mktemp("r"), persistent=False)
        try:
            result = fake_kit.run(CLOSE, f"--recyclic-redis={process.url}", backend=False)
            result.assert_outcomes(errors=1)
            assert printed(result, "leave out -n, or use --recyclic-redis=server")
            assert not printed(result, "During handling of the above exception")
        finally:
            process.stop()


class TestMarkers:
    @pytest.mark.parametrize(
        ("mark", "problem"),
        [
            ("modles('till')", "there is no marker 'modles'; did you mean 'modules'?"),
            ("modules('till', dep='all')", "modules(…, dep=…): no such option; did you mean 'deps'?"),
            ("modules('till', deps='none')", "modules(…, deps='none'): use 'stub' or 'direct' or 'all'"),
            ("modules(3)", "modules(3): give ids and ModuleBase classes"),
            ("settings({'till': {}})", "settings takes keywords only"),
        ],
    )
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnknownMarkWarning")
    def test_a_misspelt_one_is_an_error(self, fake_kit, mark, problem):
        source = f"@pytest.mark.{mark}" + CLOSE
        result = fake_kit.run(source, "-W", "ignore::pytest.PytestUnknownMarkWarning")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert printed(result, f"test_shop.py::test_close: {problem}")

    @pytest.mark.parametrize(
        ("mark", "problem"),
        [
            ("modules('caise')", "there is no module 'caise' (did you mean 'caisse'?); there are:"),
            ("allow(task='because')", "allow(task=…): no such kind (did you mean 'tasks'?); there are handler_errors"),
            ("allow(tasks='')", "allow(tasks=''): give the reason as text"),
        ],
    )
    def test_a_wrong_value_fails_the_test_with_one_line(self, fake_kit, mark, problem):
        result = fake_kit.run(f"@pytest.mark.{mark}" + CLOSE)
        result.assert_outcomes(errors=1)
        assert printed(result, problem)
        assert not printed(result, "recyclic/testing/")

    def test_they_are_described(self, fake_kit):
        result = fake_kit.run(CLOSE, "--markers")
        for name in ("modules", "settings", "allow"):
            assert printed(result, f"@pytest.mark.{name}(")


class TestSettings:
    SHOP = """
    from pydantic import BaseModel

    class Settings(BaseModel):
        url: str
        retries: int = 1

    class PostModule(ModuleBase):
        settings = Settings
        async def startup(self, app, config):
            self.config = config
        async def shutdown(self):
            pass

    class Server:
        module_settings = {"post": {"url": "http://post"}, "elsewhere": {"url": "http://nobody"}}

    @pytest.fixture
    def post_server():
        return Server()
    """

    def test_a_fixture_and_the_markers_give_them(self, fake_kit):
        fake_kit.run(
            self.SHOP
            + """
    @pytest.mark.modules(classes=[PostModule])
    @pytest.mark.settings(post={"retries": 3})
    async def test_post(module_host, post_server):
        assert module_host.module("post").config == {"url": "http://post", "retries": 3}
    """
        ).assert_outcomes(passed=1)

    def test_a_fixture_that_comes_after_the_host_and_its_users_counts_too(self, fake_kit):
        fake_kit.run(
            self.SHOP
            + """
    @pytest.fixture
    async def shop(module_host):
        return module_host

    @pytest.mark.modules(classes=[PostModule])
    async def test_post(shop, post_server):
        assert shop.module("post").config["url"] == "http://post"
    """
        ).assert_outcomes(passed=1)

    def test_without_them_the_missing_key_is_named(self, fake_kit):
        result = fake_kit.run(
            self.SHOP
            + """
    @pytest.mark.modules(classes=[PostModule])
    async def test_post(module_host):
        pass
    """
        )
        result.assert_outcomes(errors=1)
        assert printed(result, "[modules.post] url: Field required")


def test_nothing_crosses_from_one_test_to_the_next(kit):
    kit.run("""
    async def test_one(module_host):
        await module_host.http.post("/api/modules/till/close/a")
        async with module_host.app.state.database.unit_of_work(read_only=True) as uow:
            from sqlalchemy import text
            assert (await uow.session.execute(text("SELECT count(*) FROM host_outbox"))).scalar_one() == 1

    async def test_two(module_host):
        async with module_host.app.state.database.unit_of_work(read_only=True) as uow:
            from sqlalchemy import text
            assert (await uow.session.execute(text("SELECT count(*) FROM host_outbox"))).scalar_one() == 0
        assert await module_host.life.broker.streams.events() in ([], [
            state for state in await module_host.life.broker.streams.events() if state.length == 0
        ])
    """).assert_outcomes(passed=2)


def test_the_fixtures_of_modules_are_there_where_a_test_speaks_of_them(fake_kit):
    result = fake_kit.run(
        """
    async def test_paheko(module_host, paheko_server):
        response = await module_host.http.get("/api/modules/paheko/status")
        assert response.status_code == 200
    """,
        marks="pytestmark = pytest.mark.modules('paheko', deps='all')\n",
    )
    result.assert_outcomes(passed=1)


def test_a_module_that_does_not_start_is_told_with_its_line(fake_kit):
    result = fake_kit.run("""
    class DeafModule(BooksModule):
        async def startup(self, app, config):
            raise OSError("no printer")

    @pytest.mark.modules(TillModule, DeafModule)
    async def test_close(module_host):
        pass
    """)
    result.assert_outcomes(errors=1)
    lines = [line.strip() for line in result.outlines]
    start = lines.index("deaf failed in startup: OSError: no printer")
    assert lines[start + 1] == f"at test_shop.py:{fake_kit.line('raise OSError')}"
    assert not printed(result, "recyclic/testing/")


def test_a_failing_test_is_not_strict_as_well(fake_kit):
    result = fake_kit.run("""
    class ClumsyModule(BooksModule):
        async def book(self, **data):
            raise ValueError("no")

    @pytest.mark.modules(TillModule, ClumsyModule)
    async def test_close(module_host):
        await module_host.http.post("/api/modules/till/close/a")
        assert False
    """)
    result.assert_outcomes(failed=1)


def test_a_test_that_is_skipped_or_expected_to_fail_is_left_alone(fake_kit):
    result = fake_kit.run("""
    async def test_skip(module_host):
        pytest.skip("not today")

    @pytest.mark.xfail(strict=True)
    async def test_xfail(module_host):
        assert False
    """)
    result.assert_outcomes(skipped=1, xfailed=1)


def test_the_fixtures_are_described(fake_kit):
    result = fake_kit.run(CLOSE, "--fixtures")
    for name in ("module_host", "recyclic_backend", "paheko_server"):
        line = next(i for i, line in enumerate(result.outlines) if line.startswith(name))
        assert result.outlines[line + 1].strip(), f"{name} has no description"
        assert "no docstring" not in result.outlines[line + 1]


HEAVY = ("pydantic", "sqlalchemy", "fastapi", "redis", "httpx", "fakeredis", "playwright", "hypothesis", "alembic")


def test_the_plugin_imports_nothing_heavy():
    code = (
        "import sys, pytest; before = set(sys.modules); import recyclic.testing.plugin; "
        f"print([name for name in {HEAVY!r} if name in sys.modules and name not in before])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_host_imports_nothing_of_the_kit():
    code = (
        "import sys, recyclic.core.app, recyclic.cli; "
        "print([name for name in ('pytest', 'fakeredis', 'recyclic.testing') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
