"""The fixture `ui_host`, and what a report of a failure says of its pages. Loaded by the kit's plugin."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Final

import pytest

from recyclic.testing.errors import KitError
from recyclic.testing.marks import folder_of, has_failed, plan_of, remember

if TYPE_CHECKING:
    from recyclic.testing.slots.build import Build
    from recyclic.testing.slots.render import UiHost
    from recyclic.testing.slots.stage import Stage

_ui_key: Final = pytest.StashKey["UiHost"]()


@pytest.fixture(scope="session")
def recyclic_front_end(pytestconfig: pytest.Config) -> Build | None:
    """The built front end, built anew where its sources have changed; None with `--ui-url`."""
    from recyclic.testing.slots.build import front_end  # noqa: PLC0415 - kept out of the plugin's import

    if pytestconfig.getoption("--ui-url"):
        return None
    try:
        return front_end()
    except KitError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def recyclic_stage(pytestconfig: pytest.Config) -> Iterator[Stage]:
    """The stage: the thread and loop on which hosts and the browser live, one per test process."""
    from recyclic.testing.slots.stage import Stage  # noqa: PLC0415 - kept out of the plugin's import

    url = pytestconfig.getoption("--ui-url")
    stage = Stage(headed=pytestconfig.getoption("--ui-headed"), url=url.rstrip("/") if url else None)
    try:
        stage.start()
    except KitError as error:
        pytest.fail(str(error), pytrace=False)
    yield stage
    stage.close()


@pytest.fixture
def ui_host(
    request: pytest.FixtureRequest, recyclic_backend: str, recyclic_front_end: Build | None, recyclic_stage: Stage
) -> Iterator[UiHost]:
    """Some modules, booted for this test alone, with their pages and slots in a real browser.

    Markers and settings fixtures are those of `module_host`. For sync tests; its methods wait.
    """
    from recyclic.testing.boot import booted  # noqa: PLC0415 - kept out of the plugin's import
    from recyclic.testing.slots.artefacts import keep_traces  # noqa: PLC0415 - as above
    from recyclic.testing.slots.render import ui_host_on  # noqa: PLC0415 - kept out of the plugin's import

    item, stage = request.node, recyclic_stage
    trace: str = request.config.getoption("--ui-trace")
    try:
        plan = plan_of(request, recyclic_backend)

        def failed() -> bool:
            return has_failed(item)

        with (
            stage.enter(booted(plan, failed)) as host,
            stage.enter(ui_host_on(stage, host, recyclic_front_end, trace=trace != "off", failed=failed)) as ui,
        ):
            remember(item, host)
            item.stash[_ui_key] = ui
            yield ui
            del item.stash[_ui_key]
            if trace == "on" and not has_failed(item):
                keep_traces(ui, folder_of(item))
    except (KitError, AssertionError) as error:
        pytest.fail(str(error), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what the pages of a failed test showed, while they are still open, and name the folder in the report."""
    report = yield
    ui = item.stash.get(_ui_key, None)
    if ui is not None and report.failed and report.when != "teardown":
        from recyclic.testing.artefacts import kept  # noqa: PLC0415 - kept out of the plugin's import
        from recyclic.testing.slots.artefacts import keep_pages  # noqa: PLC0415 - kept out of the plugin's import

        folder = folder_of(item)
        problems = keep_pages(ui, folder)
        report.sections.append(("ui_host", kept(folder, item.config.rootpath, problems)))
    return report
