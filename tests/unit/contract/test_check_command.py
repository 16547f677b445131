"""`recyclic check` and `recyclic rule` on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from recyclic.testing.contract.document import rules_page
from recyclic.testing.contract.rule import all_rules

pytestmark = pytest.mark.slow  # processes of their own

BROKEN = Path(__file__).parent / "broken"
DOCS = Path(__file__).parents[3] / "docs"


def recyclic(*args, **options):
    command = [sys.executable, "-m", "recyclic", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)


def test_breach_ends_with_1_and_json_can_be_read():
    config = BROKEN / "RCY102_no_version" / "config.toml"
    done = recyclic("check", "--config", str(config), "--format", "json")
    assert done.returncode == 1
    assert [finding["rule"] for finding in json.loads(done.stdout)["findings"]] == ["RCY102"]


def test_no_module_ends_with_2(tmp_path):
    (tmp_path / "config.toml").write_text("", encoding="utf-8")
    done = recyclic("check", cwd=tmp_path)
    assert done.returncode == 2
    assert "nothing was checked" in done.stdout


def test_clean_ends_with_0():
    config = BROKEN / "RCY401_startup_raises" / "config.toml"
    assert recyclic("check", "--config", str(config), "--select", "RCY1").returncode == 0


@pytest.mark.parametrize("args", [["nonesuch"], ["--select", "RCY999"], ["--config", "nowhere.toml"]])
def test_what_cannot_be_checked_ends_with_2_and_a_reason(args, tmp_path):
    done = recyclic("check", *args, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("recyclic: ")
    assert "Traceback" not in done.stderr


def test_rule_explains_one():
    done = recyclic("rule", "rcy404")
    assert done.returncode == 0
    assert done.stdout.startswith("RCY404 a task or thread is left behind (error, Lifecycle)")
    assert "Why: " in done.stdout
    assert "Remedy: " in done.stdout


def test_rule_lists_all():
    done = recyclic("rule")
    assert all(rule.id in done.stdout for rule in all_rules())


def test_reserved_rule_says_so():
    done = recyclic("rule", "RCY705")
    assert done.returncode == 2
    assert "reserved" in done.stderr


def test_rules_page_is_current():
    assert (DOCS / "rules.md").read_text(encoding="utf-8") == rules_page(), (
        "run: python -m recyclic.testing.contract.document docs/rules.md"
    )
