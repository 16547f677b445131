"""The contract as pytest items: `--contracts` and `contract_tests(...)`."""

from __future__ import annotations

from pathlib import Path

import pytest

from recyclic.testing.contract.rule import all_rules

pytestmark = pytest.mark.slow  # processes of their own

pytest_plugins = ["pytester"]

BROKEN = Path(__file__).parent / "broken"
RULES = len(all_rules())


@pytest.fixture
def run(pytester, monkeypatch):
    """Return a function that runs pytest in a folder with a configuration that enables one broken module."""
    monkeypatch.delenv("RECYCLIC_CONFIG", raising=False)

    def run(name, *args):
        modules = BROKEN / name / "modules"
        enabled = ", ".join(f'"{path.name}"' for path in sorted(modules.iterdir()))
        config = f'[modules]\nenabled = [{enabled}]\npath = ["{modules}"]\n'
        (pytester.path / "config.toml").write_text(config, encoding="utf-8")
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *args)

    return run


@pytest.mark.slow
def test_one_item_for_each_module_and_rule(run):
    result = run("RCY202_needs_what_comes_later", "--contracts")
    result.assert_outcomes(passed=2 * RULES - 1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*contract: attic RCY202 a module that it needs starts later*",
            "RCY202 attic: a module that it needs starts later",
            "  at *module.toml: ?dependencies? modules",
            "  attic needs ladder",
            "  → move ladder before attic",
        ]
    )


@pytest.mark.slow
def test_rule_that_cannot_be_judged_is_skipped_with_the_reason(run):
    result = run("RCY302_no_module_class", "--contracts", "-rs")
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] == 1
    assert outcomes["skipped"] > 10
    result.stdout.fnmatch_lines(["SKIPPED * not judged: its code cannot be run"])


def test_zero_modules_are_an_error(pytester):
    (pytester.path / "config.toml").write_text("", encoding="utf-8")
    result = pytester.runpytest_subprocess("--contracts")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no module is enabled*"])


@pytest.mark.slow
def test_author_puts_one_modules_contract_into_a_file(run, pytester):
    pytester.makepyfile(
        """
        from recyclic.testing.contract import contract_tests

        test_contract = contract_tests("attic")
        """
    )
    result = run("RCY408_prints", "-rs")
    result.assert_outcomes(passed=RULES - 1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * warning: RCY408 attic: the module prints to standard output"])
