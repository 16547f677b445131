"""Every rule ships a broken module that it must reject: found under the rule's own id and no other."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

import pytest

from recyclic.testing.contract.isolation import WarmParent
from recyclic.testing.contract.rule import Evidence, all_rules

pytestmark = pytest.mark.slow  # imports every broken module

BROKEN = Path(__file__).parent / "broken"
FOLDERS = sorted(folder.name for folder in BROKEN.iterdir() if folder.is_dir())
RULES = {rule.id: rule for rule in all_rules()}
CHEAP = [name for name in FOLDERS if RULES[name[:6]].needs < Evidence.EXERCISE and not name.startswith("RCY6")]


def test_every_rule_ships_a_broken_module():
    assert {name[:6] for name in FOLDERS} == set(RULES)


@pytest.mark.parametrize("name", CHEAP)
def test_broken_module_is_rejected_without_booting_it(check_folder, name):
    report = check_folder(BROKEN / name, ignore=["RCY4", "RCY5", "RCY6", "RCY702", "RCY703", "RCY704"])
    assert {finding.rule for finding in report.findings} == {name[:6]}


@pytest.mark.slow
def test_every_broken_module_is_found_under_its_own_rule_and_no_other(check_folder):
    parents = SimpleQueue()

    def rules_found(name):
        parent = parents.get()
        try:
            report = check_folder(BROKEN / name, parent=parent)
        finally:
            parents.put(parent)
        assert all(finding.remedy for finding in report.findings)
        assert report.exit_code == (1 if RULES[name[:6]].severity == "error" else 0)
        return sorted({finding.rule for finding in report.findings})

    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(os.cpu_count()))
        for _ in range(os.cpu_count() or 1):
            parents.put(stack.enter_context(WarmParent(width=1)))
        found = dict(zip(FOLDERS, pool.map(rules_found, FOLDERS), strict=True))
    print_matrix(found)
    assert {name: rules for name, rules in found.items() if rules != [name[:6]]} == {}


def print_matrix(found):
    """Print rule × found: a row for each broken module, a mark under each rule that was found in it."""
    ids = sorted(RULES)
    width = max(map(len, found))
    for digit in range(3, 6):
        print(" " * width, "".join(rule[digit] for rule in ids))  # noqa: T201 - the matrix
    for name, rules in found.items():
        print(name.ljust(width), "".join("█" if rule in rules else "·" for rule in ids))  # noqa: T201 - as above
