"""The contract tests are seen to go red: for a planted broken module, and where nothing would be checked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parent / "test_enabled_modules.py"

MANIFEST = """
name = "Planted"
version = "1.0.0"
description = "Says that it emits an event, and does not"

[permissions]
section = "config"
level = "write"

[events]
emits = ["seed_planted"]
"""

CODE = '''
"""A module that breaks its word."""

from recyclic import ModuleBase


class PlantedModule(ModuleBase):
    async def startup(self, app, config): ...
    async def shutdown(self): ...


MODULE_CLASS = PlantedModule
'''


def run_contract_tests(folder: Path, enabled: str) -> subprocess.CompletedProcess[str]:
    config = folder / "config.toml"
    config.write_text(f'[modules]\nenabled = {enabled}\npath = ["{folder / "modules"}"]\n')
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS)],
        env={**os.environ, "RECYCLIC_CONFIG": str(config)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    folder = tmp_path / "modules" / "planted"
    folder.mkdir(parents=True)
    (folder / "module.toml").write_text(MANIFEST)
    (folder / "__init__.py").write_text(CODE)
    return tmp_path


def test_a_planted_broken_module_turns_the_contract_tests_red(planted: Path) -> None:
    """The module is only enabled in config.toml: the tests find it by themselves, and name rule and module."""
    run = run_contract_tests(planted, '["planted"]')
    assert run.returncode == 1, run.stdout + run.stderr
    assert "RCY601 planted" in run.stdout
    assert "seed_planted" in run.stdout
    assert run.stdout.strip().splitlines()[-1].startswith("1 failed")


def test_no_enabled_module_is_a_failure_and_not_a_green_run(planted: Path) -> None:
    """Zero modules checked would prove nothing."""
    run = run_contract_tests(planted, "[]")
    assert run.returncode not in {0, 5}, run.stdout + run.stderr
    assert "no module is enabled, so nothing would be checked" in run.stdout
