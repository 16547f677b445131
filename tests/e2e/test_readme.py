"""The README's test runs, and fails with the text that the README shows; its commands and links exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from recyclic.cli import build

pytestmark = pytest.mark.slow  # processes of their own

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"

pytest_plugins = ["pytester"]


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RECYCLIC_CONFIG", str(ROOT / "config.toml"))
    pytester.makeini(SETTINGS)

    def run(code: str) -> pytest.RunResult:
        pytester.makepyfile(test_till=code)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider")

    return run


def test_the_test_of_the_readme_passes(run) -> None:
    run(block("python")).assert_outcomes(passed=1)


def test_the_test_of_the_readme_fails_with_the_text_it_shows(run) -> None:
    code = block("python")
    broken = code.replace('"entry_written", amount_cents=5_00', '"entry_written", amount_cents=6_00')
    assert broken != code
    result = run(broken)
    result.assert_outcomes(failed=1)
    for line in block("text").splitlines():
        pattern = re.escape(line.strip()).replace("…", ".*").replace(re.escape("2.40.0"), r"[\d.]+")
        assert re.search(pattern, result.stdout.str()), f"the README shows a line that is not printed: {line}"


def test_every_command_of_the_readme_exists() -> None:
    known = get_command(build()).commands
    named = set(re.findall(r"`recyclic ([a-z]+)", README))
    assert named
    assert named <= set(known)


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
