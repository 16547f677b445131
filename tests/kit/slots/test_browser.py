"""Which browser draws the slots, and what is said when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from recyclic.testing.slots import BrowserError
from recyclic.testing.slots.browser import arguments, find_browser


def nowhere(_name):
    return None


def on_path(*names):
    return lambda name: f"/usr/bin/{name}" if name in names else None


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    path.touch(mode=0o755)
    return path


@pytest.fixture
def bundled(tmp_path) -> Path:
    """Where Playwright's own Chromium would be."""
    return tmp_path / "ms-playwright" / "chromium-1234" / "chrome-linux" / "chrome"


def test_no_browser_is_said_with_the_places_and_the_command(bundled):
    with pytest.raises(BrowserError) as missing:
        find_browser(bundled, environ={}, which=nowhere)
    assert str(missing.value).splitlines() == [
        "there is no browser to draw slots in. Looked for:",
        "  the program that RECYCLIC_BROWSER names (it is not set)",
        f"  Playwright's own at {bundled}",
        "  chromium-headless-shell, chromium, google-chrome on PATH",
        "Install one:",
        "  python -m playwright install --with-deps chromium",
        "or, on Debian:",
        "  sudo apt-get install chromium-headless-shell",
    ]


def test_named_browser_comes_first(bundled):
    program(bundled)
    named = find_browser(bundled, environ={"RECYCLIC_BROWSER": "brave"}, which=on_path("brave", "chromium"))
    assert named == Path("/usr/bin/brave")


def test_named_browser_that_is_none_is_an_error_and_not_passed_over(bundled):
    program(bundled)
    with pytest.raises(BrowserError, match="RECYCLIC_BROWSER is '/no/such', which is no program"):
        find_browser(bundled, environ={"RECYCLIC_BROWSER": "/no/such"}, which=on_path("chromium"))


def test_playwrights_own_is_preferred_to_the_systems(bundled):
    program(bundled)
    assert find_browser(bundled, environ={}, which=on_path("chromium")) == bundled


def test_playwrights_headless_shell_is_enough_for_a_headless_run(bundled):
    folder = bundled.parents[2] / "chromium_headless_shell-1234" / "chrome-headless-shell-linux64"
    shell = program(folder / "chrome-headless-shell")
    assert find_browser(bundled, environ={}, which=nowhere) == shell
    with pytest.raises(BrowserError):
        find_browser(bundled, headed=True, environ={}, which=nowhere)


@pytest.mark.parametrize(
    ("headed", "there", "found"),
    [
        (False, ("google-chrome", "chromium", "chromium-headless-shell"), "chromium-headless-shell"),
        (False, ("google-chrome", "chromium"), "chromium"),
        (False, ("google-chrome",), "google-chrome"),
        (True, ("chromium-headless-shell", "google-chrome"), "google-chrome"),
    ],
)
def test_then_the_systems_in_order(bundled, headed, there, found):
    assert find_browser(bundled, headed=headed, environ={}, which=on_path(*there)) == Path(f"/usr/bin/{found}")


def test_sandbox_is_left_out_for_root_alone():
    assert "--no-sandbox" in arguments([], root=True)
    assert "--no-sandbox" not in arguments([], root=False)


def test_only_these_hosts_are_reachable():
    rules = [text for text in arguments(["127.0.0.1", "dev"], root=False) if text.startswith("--host-resolver")]
    assert rules == ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE dev"]
