"""The pytest plugin: options, markers, the fixture `module_host`, and the timeline in the report of a failure.

Loaded by its entry point in every pytest run, so it imports nothing of the host until a test needs it.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

from recyclic.testing.errors import KitError
from recyclic.testing.flow_plugin import add_options as add_flow_options
from recyclic.testing.flow_plugin import install as install_flow_coverage
from recyclic.testing.marks import (
    MARKERS,
    backends_key,
    backends_of,
    check_async,
    failed_key,
    folder_of,
    has_failed,
    host_key,
    host_last,
    kept_key,
    marker_problems,
    plan_of,
    prompted_key,
    remember,
    started_key,
)
from recyclic.testing.module_fixtures import ModuleFixtures
from recyclic.testing.slots.options import add_options as add_slot_options
from recyclic.testing.sweeps import MARK, repeating

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
    from pathlib import Path

    from recyclic.testing.host import ModuleHost

_BACKEND: Final = "recyclic_backend"
_fixtures_key: Final = pytest.StashKey[ModuleFixtures]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the kit's options; each also stands in pyproject.toml."""
    group = parser.getgroup("recyclic", "Recyclic: modules tested together")
    group.addoption(
        "--recyclic-redis",
        action="append",
        metavar="BACKEND",
        help="where events go: fake (default), server, container, twin, or a URL; given twice, each test runs on all",
    )
    group.addoption(
        "--contracts",
        action="store_true",
        help="also collect the contract of every enabled module: one test per module and rule",
    )
    add_slot_options(parser)
    group.addoption(
        "--recyclic-sweep",
        metavar="KEY",
        help="of what @faults.everywhere and its like repeat, only this: a key that a failure printed",
    )
    add_flow_options(parser)
    parser.addini("recyclic_redis", "backends, as --recyclic-redis", type="args", default=["fake"])
    parser.addini("recyclic_settle_within", "real seconds in which a host must come to rest", default="10")


def pytest_configure(config: pytest.Config) -> None:
    """Register markers and the parts of the kit that are there."""
    for text in MARKERS.values():
        config.addinivalue_line("markers", text)
    config.addinivalue_line("markers", f"{MARK}(kind, ...): what @faults.everywhere and its like put on a test")
    config.pluginmanager.import_plugin("recyclic.testing.sweeps")
    from recyclic.testing.backends import parse_backend  # noqa: PLC0415 - beside its one use

    try:
        names = config.getoption("--recyclic-redis") or config.getini("recyclic_redis")
        config.stash[backends_key] = tuple(dict.fromkeys(parse_backend(name) for name in names))
        float(config.getini("recyclic_settle_within"))
    except (KitError, ValueError) as error:
        raise pytest.UsageError(f"recyclic: {error}") from None
    install_flow_coverage(config)
    config.stash[_fixtures_key] = ModuleFixtures(config)
    if config.getoption("--contracts"):
        config.pluginmanager.import_plugin("recyclic.testing.contract.collect")
    config.pluginmanager.import_plugin("recyclic.testing.slots.fixtures")
    if config.getoption("--fixtures", default=False) or config.getoption("--fixtures-per-test", default=False):
        config.stash[_fixtures_key].load()


def pytest_report_header(config: pytest.Config) -> str:
    """Name the backends with their versions."""
    from recyclic.testing.backends import backend  # noqa: PLC0415 - kept out of the plugin's import

    try:
        return "recyclic: redis " + ", ".join(backend(name).description for name in config.stash[backends_key])
    except KitError as error:
        raise pytest.UsageError(f"recyclic: {error}") from None


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """Say where tests with worker processes run, if that is another place than the header names."""
    moved = [item for item in items if item.get_closest_marker("workers") is not None]
    if not moved or "fake" not in config.stash[backends_key]:
        return []
    from recyclic.testing.backends import backend  # noqa: PLC0415 - kept out of the plugin's import

    number = "1 test" if len(moved) == 1 else f"{len(moved)} tests"
    return [f"recyclic: {number} with worker processes on {backend('server').description}"]


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> None:
    """Load the fixtures that modules ship, before the first test file that may use them."""
    parent.config.stash[_fixtures_key].load_for(module_path)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that boots a host on every backend that was asked for."""
    names = backends_of(metafunc.definition, metafunc.config.stash[backends_key])
    if _BACKEND in metafunc.fixturenames and len(names) > 1:
        metafunc.parametrize(_BACKEND, names, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse markers that are misspelt, and let hosts boot last."""
    registered = {line.partition(":")[0].partition("(")[0].strip() for line in config.getini("markers")}
    problems = [problem for item in items for problem in marker_problems(item, registered)]
    if problems:
        raise pytest.UsageError("\n".join(dict.fromkeys(problems)))
    for item in items:
        host_last(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note when the test began."""
    item.stash[started_key] = time.monotonic()
    item.config.stash[prompted_key] = False


def pytest_enter_pdb(config: pytest.Config) -> None:
    """Note that someone is at a prompt: the test's own timeout no longer counts."""
    config.stash[prompted_key] = True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the timeline to the report of a failure that does not have it in its text."""
    report = yield
    if call.excinfo is not None:
        item.stash[failed_key] = True
    host = item.stash.get(host_key, None)
    if host is not None and report.failed:
        _keep(item, host, report)
    if report.when == "teardown" and not item.stash.get(kept_key, True):
        from recyclic.testing.artefacts import discard_journal  # noqa: PLC0415 - kept out of the plugin's import

        discard_journal(folder_of(item))
    return report


def _keep(item: pytest.Item, host: ModuleHost, report: pytest.TestReport) -> None:
    """Keep the evidence of a failure, and say in its report where it is."""
    from recyclic.testing.artefacts import keep, kept  # noqa: PLC0415 - kept out of the plugin's import

    folder = folder_of(item)
    problems = [] if item.stash[kept_key] else keep(host, folder)
    told = [host.timeline] if "timeline" not in report.longreprtext else []
    has_pages = "ui_host" in getattr(item, "fixturenames", ())
    if report.when == "teardown" or not has_pages:  # else they are kept as well, and then told with them
        told.append(kept(folder, item.config.rootpath, problems))
    if told:
        report.sections.append(("recyclic", "\n".join(told)))
    if not item.stash[kept_key]:
        named = ("artefacts", str(folder.relative_to(item.config.rootpath)))  # a property of the test in JUnit's XML
        (report if report.when == "teardown" else item).user_properties.append(named)
    item.stash[kept_key] = True


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove the folder of what is kept of failures where nothing was."""
    from recyclic.testing.artefacts import RESULTS  # noqa: PLC0415 - kept out of the plugin's import

    if not hasattr(session.config, "workerinput"):
        with suppress(OSError):
            (session.config.rootpath / RESULTS).rmdir()


@pytest.fixture
def recyclic_backend(request: pytest.FixtureRequest) -> str:
    """The backend of this test: `fake`, `server`, `container`, `twin` or a URL."""
    backends = backends_of(request.node, request.config.stash[backends_key])
    return str(getattr(request, "param", backends[0]))


@pytest.fixture
def module_host(request: pytest.FixtureRequest, recyclic_backend: str) -> ModuleHost:
    """Some modules, booted for this test alone, on a bus, a clock and a database of their own.

    `@pytest.mark.modules("caisse", "paheko")` says which; without it all that config.toml enables. For async tests,
    under pytest-asyncio or anyio on asyncio; it lives on the loop of the test.
    """
    del recyclic_backend  # asked for so that the test runs once per backend
    problem = ""
    try:
        runner = check_async(request)
    except KitError as error:
        problem = str(error)
    if problem:
        pytest.fail(problem, pytrace=False)
    host: ModuleHost = request.getfixturevalue(f"_module_host_{runner}")
    return host


async def _host(request: pytest.FixtureRequest) -> AsyncGenerator[ModuleHost, None]:
    """Boot the host of a test; tell what is wrong without the kit's own traceback."""
    from recyclic.errors import RecyclicError  # noqa: PLC0415 - kept out of the plugin's import
    from recyclic.testing.boot import booted  # noqa: PLC0415 - kept out of the plugin's import

    item, problem = request.node, ""
    try:
        plan = plan_of(request, request.getfixturevalue(_BACKEND))
        async with booted(plan, lambda: has_failed(item)) as host:
            remember(item, host)
            async with repeating(item, host):
                yield host
    except (KitError, AssertionError, RecyclicError) as error:
        problem = _told(error)
    if problem:  # outside of the handler, or pytest would print both
        pytest.fail(problem, pytrace=False)


def _told(error: Exception) -> str:
    """Return an error's text, with the line that caused it where the text does not say it."""
    from recyclic.testing.story import place_of  # noqa: PLC0415 - kept out of the plugin's import

    place = place_of(error.__cause__) if error.__cause__ is not None else ""
    return f"{error}\n  at {place}" if place else str(error)


@pytest.fixture
def _module_host_anyio(request: pytest.FixtureRequest) -> Iterator[ModuleHost]:
    from anyio.pytest_plugin import (  # noqa: PLC0415 - only where anyio runs the test
        extract_backend_and_options,
        get_runner,
    )

    with get_runner(*extract_backend_and_options(request.getfixturevalue("anyio_backend"))) as runner:
        yield from runner.run_asyncgen_fixture(_host, {"request": request})


def _on_loop(scope: Literal["function", "class", "module", "package", "session"]) -> Callable[..., Any] | None:
    """Return the fixture for tests whose loop has this scope; None without pytest-asyncio."""
    try:
        import pytest_asyncio  # noqa: PLC0415 - anyio alone is enough
    except ImportError:
        return None

    async def host(request: pytest.FixtureRequest) -> AsyncIterator[ModuleHost]:
        async for booted in _host(request):
            yield booted

    fixture: Callable[..., Any] = pytest_asyncio.fixture(name=f"_module_host_{scope}", loop_scope=scope)(host)
    return fixture


_module_host_function = _on_loop("function")
_module_host_class = _on_loop("class")
_module_host_module = _on_loop("module")
_module_host_package = _on_loop("package")
_module_host_session = _on_loop("session")
