"""What a test says by its markers and its fixtures, read into the plan of the host that it gets."""

from __future__ import annotations

import difflib
import inspect
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from recyclic.testing.errors import KitError

if TYPE_CHECKING:
    from recyclic.config import Config
    from recyclic.testing.deadline import Patience
    from recyclic.testing.host import ModuleHost
    from recyclic.testing.plan import Plan

MARKERS: Final[Mapping[str, str]] = {
    "modules": "modules(*ids_or_classes, deps='stub'|'direct'|'all', stub=(), clock='virtual'|'real', classes=()): "
    "what module_host boots; without it all modules that config.toml enables. A single class goes into classes=[…]: "
    "pytest takes a marker's only argument, if it is a class, for what is to be marked",
    "settings": "settings(**{module_id: table}): the modules' own settings for this test",
    "workers": "workers(count): how many processes of their own consume, instead of the test's; on a real Redis server",
    "allow": "allow(**{kind: reason}): what is not to fail this test at its end, each with its reason",
}
MOST_WORKERS: Final = 16
HOSTS: Final = ("module_host", "ui_host")
"""The fixtures that boot a host."""

_OPTIONS: Final = {"deps": ("stub", "direct", "all"), "stub": (), "clock": ("virtual", "real"), "classes": ()}

host_key: Final = pytest.StashKey["ModuleHost"]()
started_key: Final = pytest.StashKey[float]()
prompted_key: Final = pytest.StashKey[bool]()
failed_key: Final = pytest.StashKey[bool]()
kept_key: Final = pytest.StashKey[bool]()
"""Whether the test's journal is kept."""


def marker_problems(item: pytest.Item, registered: set[str]) -> Iterator[str]:
    """Yield what is wrong with an item's markers, without importing anything of the host."""
    for mark in item.iter_markers():
        near = difflib.get_close_matches(mark.name, list(MARKERS), n=1, cutoff=0.75)
        if mark.name not in registered and near:
            yield f"{item.nodeid}: there is no marker {mark.name!r}; did you mean {near[0]!r}?"
        if mark.name == "modules":
            yield from (f"{item.nodeid}: {problem}" for problem in _modules_problems(mark))
        if mark.name == "workers" and not _is_count(mark):
            yield f"{item.nodeid}: workers takes a number of processes, 1 to {MOST_WORKERS}: {MARKERS['workers']}"
        if mark.name in {"settings", "allow"} and mark.args:
            yield f"{item.nodeid}: {mark.name} takes keywords only: {MARKERS[mark.name]}"


def _is_count(mark: pytest.Mark) -> bool:
    count = mark.args[0] if len(mark.args) == 1 and not mark.kwargs else None
    return isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= MOST_WORKERS


def backends_of(item: pytest.Item, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the backends on which a test runs: processes cannot meet on the fake, so theirs is a server instead."""
    if item.get_closest_marker("workers") is None:
        return names
    return tuple(dict.fromkeys("server" if name == "fake" else name for name in names))


def _modules_problems(mark: pytest.Mark) -> Iterator[str]:
    for key, value in mark.kwargs.items():
        if key not in _OPTIONS:
            near = difflib.get_close_matches(key, list(_OPTIONS), n=1)
            yield f"modules(…, {key}=…): no such option" + (f"; did you mean {near[0]!r}?" if near else "")
        elif _OPTIONS[key] and value not in _OPTIONS[key]:
            yield f"modules(…, {key}={value!r}): use {' or '.join(map(repr, _OPTIONS[key]))}"
    for name in mark.args:
        if not isinstance(name, str | type):
            yield f"modules({name!r}): give ids and ModuleBase classes"


def plan_of(request: pytest.FixtureRequest, backend: str) -> Plan:
    """Return the plan of the host that a test asks for; `ui_host` uses it too.

    Raises:
        KitError: the markers or the configuration do not fit.
    """
    from recyclic.testing.artefacts import JOURNAL, forget  # noqa: PLC0415 - kept out of the plugin's import
    from recyclic.testing.assembly import Choice  # noqa: PLC0415 - kept out of the plugin's import
    from recyclic.testing.plan import Plan  # noqa: PLC0415 - kept out of the plugin's import

    item = request.node
    mark = item.get_closest_marker("modules") or pytest.mark.modules().mark
    choice = Choice(
        names=tuple(name for name in mark.args if isinstance(name, str)),
        classes=(*(cls for cls in mark.args if isinstance(cls, type)), *mark.kwargs.get("classes", ())),
        deps=mark.kwargs.get("deps", "stub"),
        stub=tuple(mark.kwargs.get("stub", ())),
    )
    config = kit_config(request.config)
    if not (choice.names or choice.classes or config.modules.enabled):
        raise KitError("there is no config.toml that enables modules: name them, @pytest.mark.modules('caisse')")
    folder, again = folder_of(item), item.stash.get(kept_key, False)  # a repetition keeps what the first failure left
    if not again:
        forget(folder)
        item.stash[kept_key] = False
    return Plan(
        choice=choice,
        config=config,
        settings=_settings(request),
        spare_settings=True,
        backend=backend,
        clock=mark.kwargs.get("clock", "virtual"),
        patience=patience_of(item),
        workers=next((int(mark.args[0]) for mark in item.iter_markers("workers")), 0),
        allow={kind: reason for mark in _marks(item, "allow") for kind, reason in mark.kwargs.items()},
        rerun=rerun(item),
        test=item.nodeid,
        journal=None if again else folder / JOURNAL,
    )


def patience_of(item: pytest.Item) -> Patience:
    """Return how long a test's hosts are waited for: never beyond its own timeout, where pytest-timeout has one."""
    from recyclic.testing.deadline import Patience, is_debugged  # noqa: PLC0415 - kept out of the plugin's import

    seconds = float(item.config.getini("recyclic_settle_within"))
    return Patience(
        seconds,
        _own_timeout(item),
        item.stash.get(started_key, time.monotonic()),
        lambda: item.config.stash.get(prompted_key, False) or is_debugged(),
    )


def _own_timeout(item: pytest.Item) -> float | None:
    """Return the seconds after which pytest-timeout ends a test; it asks the marker, the option, the environment."""
    if not item.config.pluginmanager.hasplugin("timeout"):
        return None
    mark = item.get_closest_marker("timeout")
    marked = (*mark.args, mark.kwargs.get("timeout"))[0] if mark else None
    given = [marked, item.config.getoption("timeout", None), os.environ.get("PYTEST_TIMEOUT")]
    given.append(item.config.getini("timeout"))
    first = next((value for value in given if value not in {None, ""}), 0)
    return float(first) if float(first) > 0 else None


def kit_config(config: pytest.Config) -> Config:
    """Return which modules there are and which are enabled: `config.toml` of the root folder, or RECYCLIC_CONFIG's."""
    from recyclic.config import Config as HostConfig  # noqa: PLC0415 - kept out of the plugin's import

    file = config.rootpath / "config.toml"
    return HostConfig.load(None if "RECYCLIC_CONFIG" in os.environ or not file.is_file() else Path(file))


def rerun(item: pytest.Item) -> str:
    """Return the command that runs a test again, on the same backends."""
    names = backends_of(item, item.config.stash[backends_key])
    options = " ".join(f"--recyclic-redis={shlex.quote(name)}" for name in names)
    return f"pytest {shlex.quote(item.nodeid)} {options}"


def folder_of(item: pytest.Item) -> Path:
    """Return where what is kept of a test lies."""
    from recyclic.testing.artefacts import RESULTS, folder_for  # noqa: PLC0415 - kept out of the plugin's import

    return folder_for(item.config.rootpath / RESULTS, item.nodeid)


def remember(item: pytest.Item, host: ModuleHost) -> None:
    """Let the report of a failing test carry the host's timeline."""
    item.stash[host_key] = host


def has_failed(item: pytest.Item) -> bool:
    """Return whether the test has failed; then its end is not strict, for its failure says enough."""
    return item.stash.get(failed_key, False)


def check_async(request: pytest.FixtureRequest) -> str:
    """Return who runs the test: `anyio`, or the scope of its loop under pytest-asyncio.

    Raises:
        KitError: nobody who could; the text says what to do.
    """
    item = request.node
    function = getattr(item, "obj", None)
    inner = getattr(getattr(function, "hypothesis", None), "inner_test", function)
    if not inspect.iscoroutinefunction(inner) and not hasattr(inner, "_anyio_original_func"):
        raise KitError("module_host is for `async def` tests; a sync test uses ui_host, or boot_modules in asyncio.run")
    mark = item.get_closest_marker("asyncio")  # in pytest-asyncio's auto mode every async test has it
    if mark is not None and "anyio_backend" in request.fixturenames:
        raise KitError(
            "pytest-asyncio and anyio both claim this test, and its fixtures would run on another loop than it does: "
            'leave out one of the markers, or set asyncio_mode = "strict"'
        )
    if mark is not None:
        ini = request.config.getini("asyncio_default_test_loop_scope")
        return str(mark.kwargs.get("loop_scope") or ini or "function")
    if "anyio_backend" not in request.fixturenames:
        raise KitError('nothing runs this async test: mark it @pytest.mark.asyncio, or set asyncio_mode = "auto"')
    if request.getfixturevalue("anyio_backend_name") != "asyncio":
        raise KitError("module_host runs on asyncio, not on trio: let the fixture anyio_backend return 'asyncio'")
    return "anyio"


def host_last(item: pytest.Item) -> None:
    """Let the host boot after all fixtures that do not need it, so that their `module_settings` count."""
    names: list[str] = getattr(item, "fixturenames", [])
    info = getattr(item, "_fixtureinfo", None)
    if info is None or not any(host in names for host in HOSTS):
        return
    needing = set(HOSTS)
    definitions = info.name2fixturedefs
    grown = True
    while grown:
        more = {
            name
            for name in names
            if name not in needing and any(needing & set(one.argnames) for one in definitions.get(name, ()))
        }
        needing |= more
        grown = bool(more)
    names.sort(key=lambda name: name in needing)


def _settings(request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    """Merge the settings of fixtures that have `module_settings`, then those of the markers, the nearest last."""
    merged: dict[str, dict[str, Any]] = {}
    tables = [getattr(value, "module_settings", None) for value in request.node.funcargs.values()]
    tables += [mark.kwargs for mark in reversed(_marks(request.node, "settings"))]
    for table in tables:
        if isinstance(table, Mapping):
            for module_id, values in table.items():
                merged.setdefault(module_id, {}).update(values)
    return merged


def _marks(item: pytest.Item, name: str) -> list[pytest.Mark]:
    return list(item.iter_markers(name))


backends_key: Final = pytest.StashKey[tuple[str, ...]]()
