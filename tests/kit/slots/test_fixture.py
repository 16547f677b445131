"""The fixture `ui_host`: what it keeps of a failure, what it refuses, and its options."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import recyclic

pytestmark = pytest.mark.slow
pytest_plugins = ["pytester"]

FRONTEND = Path(recyclic.__file__).parent.parent / "frontend"

SALE = """
import pytest

pytestmark = pytest.mark.modules("caisse")

@pytest.fixture
def page(ui_host):
    return ui_host.open("/modules/caisse")
"""


class Borrowed:
    """The outer run's stage, for inner runs: a browser takes two seconds to start."""

    def __init__(self, stage, url=None, headed=False):
        self._stage = stage
        self.url = url

    def __getattr__(self, name):
        return getattr(self._stage, name)

    def start(self): ...

    def close(self): ...


@pytest.fixture
def run_alone(pytester):
    """Run a test file in a pytest of its own."""
    pytester.makefile(
        ".ini",
        pytest="[pytest]\naddopts = -p no:cacheprovider\n"
        "asyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n",
    )

    def run(source: str, *args: str):
        (pytester.path / "test_page.py").write_text(SALE + textwrap.dedent(source))
        return pytester.runpytest_inprocess(*args)

    return run


@pytest.fixture
def run(run_alone, recyclic_stage, monkeypatch):
    """The same, in the browser that runs already."""
    monkeypatch.setattr("recyclic.testing.slots.stage.Stage", partial(Borrowed, recyclic_stage))
    return run_alone


FAILING = """
def test_panel(page, monkeypatch):
    monkeypatch.setattr("recyclic.testing.slots.view.PATIENCE", 0.5)
    page.do(lambda page: page.evaluate("console.error('a word')"))
    page.shows(role="button", name="Nothing like it")
"""


def test_failure_leaves_a_folder_and_names_it(run_alone, pytester):
    result = run_alone(FAILING, "--junitxml=report.xml")
    result.assert_outcomes(failed=1)
    folder = "test-results/test_page.py-test_panel"
    stem = "1-modules-caisse-fr"
    names = [f"{stem}.{kind}" for kind in ("aria.yml", "console.txt", "png", "requests.txt", "trace.zip")]
    of_the_bus = ["journal.jsonl", "sequence.svg", "timeline.txt"]
    result.stdout.fnmatch_lines([f"kept in {folder}:", *(f"  {name}" for name in [*names, *of_the_bus])])
    result.stdout.fnmatch_lines(
        ["E *view.ViewError: /modules/caisse (fr) does not show button named 'Nothing like it'"]
    )
    kept = pytester.path / folder
    assert {path.name for path in kept.iterdir()} == {*names, *of_the_bus}
    assert (kept / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
    assert "error: a word" in (kept / f"{stem}.console.txt").read_text()
    assert "GET /api/ui 200" in (kept / f"{stem}.requests.txt").read_text()
    assert "navigation" in (kept / f"{stem}.aria.yml").read_text()
    assert "GET /api/ui" in (kept / "timeline.txt").read_text()
    properties = ET.parse(pytester.path / "report.xml").getroot().iter("property")
    assert {(one.get("name"), one.get("value")) for one in properties} == {("artefacts", folder)}


def test_failure_in_a_fixture_leaves_a_folder_too(run):
    result = run("""
        @pytest.fixture
        def panel(page):
            raise RuntimeError("half way")

        def test_panel(panel): ...
    """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["kept in test-results/test_page.py-test_panel:"])


def test_what_was_kept_of_an_earlier_run_is_gone_when_the_test_passes(run, pytester):
    old = pytester.path / "test-results" / "test_page.py-test_fine" / "old.png"
    old.parent.mkdir(parents=True)
    old.touch()
    run("def test_fine(ui_host): ...").assert_outcomes(passed=1)
    assert not old.exists()


@pytest.mark.parametrize(
    ("option", "passing", "failing"),
    [("on", ["trace.zip"], ["trace.zip"]), ("off", [], [])],
)
def test_traces_are_kept_as_asked(run, pytester, option, passing, failing):
    result = run("def test_fine(page): ...\ndef test_panel(page): raise RuntimeError\n", f"--ui-trace={option}")
    result.assert_outcomes(passed=1, failed=1)

    def traces(test: str) -> list[str]:
        return [path.name.split(".", 1)[1] for path in pytester.path.glob(f"test-results/*{test}/*.zip")]

    assert traces("test_fine") == passing
    assert traces("test_panel") == failing
    assert list(pytester.path.glob("test-results/*test_panel/*.png"))


def test_error_that_nothing_caught_fails_the_test_at_its_end(run):
    result = run("""
        THROW = "new Promise((go) => setTimeout(() => { go(); throw Error('lost and not found') }))"

        def test_panel(page):
            page.do(lambda page: page.evaluate(THROW))

        def test_on_purpose(ui_host):
            page = ui_host.open("/", expect_errors=True)
            page.do(lambda page: page.evaluate(THROW))
    """)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["uncaught errors in the browser:", "/modules/caisse (fr): *lost and not found*"])


def test_without_a_browser_every_test_says_how_to_get_one(run_alone, monkeypatch):
    monkeypatch.setenv("RECYCLIC_BROWSER", "/no/such/browser")
    result = run_alone("def test_one(page): ...\ndef test_two(page): ...\n")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["RECYCLIC_BROWSER is '/no/such/browser', which is no program: name a Chromium, or*"])
    assert "Traceback" not in result.stdout.str()


def test_module_that_there_is_not_is_said_without_a_traceback(run):
    result = run("""
        @pytest.mark.modules("caise")
        def test_one(ui_host): ...
    """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["there is no module 'caise' (did you mean 'caisse'?)*"])


@pytest.fixture
def development_server():
    """Vite's own, as an author has it while writing a panel."""
    npx = shutil.which("npx")
    if npx is None:
        pytest.skip("there is no Node on PATH: `make run` sets it up")
    command = [npx, "vite", "--host", "127.0.0.1", "--port", "0", "--clearScreen", "false"]
    with subprocess.Popen(command, cwd=FRONTEND, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        for line in server.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+", re.sub(r"\x1b\[[0-9;]*m", "", line)):
                break
        else:
            pytest.fail("vite did not start")
        yield found[0]
        server.terminate()


def test_development_server_can_take_the_place_of_the_build(run, development_server):
    result = run(
        """
        @pytest.fixture(autouse=True)
        def patient(monkeypatch):
            monkeypatch.setattr("recyclic.testing.slots.view.PATIENCE", 30.0)

        @pytest.mark.modules("caisse", "barcodes")
        def test_scan(ui_host):
            label = {"label": "Lampe", "price_cents": 700}
            ui_host.http.post("/api/modules/barcodes/labels", json=label).raise_for_status()
            slot = ui_host.render("sale_item_entry", session_id="any")
            slot.fill("2000000000015").press("Enter").shows(text="Lampe")

        def test_write(page, ui_host):
            answer = page.do(lambda page: page.evaluate('''fetch("/api/modules/caisse/registers", {
                method: "POST", headers: {"content-type": "application/json"}, body: '{"name": "Caisse 1"}'
            }).then((response) => response.status)'''))
            assert answer == 201

        def test_faults_need_the_build(ui_host):
            with pytest.raises(Exception, match="they do not go with --ui-url"):
                ui_host.open("/", fault={"barcodes/ScanEntry": "throw"})
        """,
        f"--ui-url={development_server}/",
    )
    result.assert_outcomes(passed=3)
