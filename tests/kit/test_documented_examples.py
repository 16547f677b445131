"""The tests in docs/testing.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import recyclic

pytestmark = pytest.mark.slow  # pytest inside pytest, and real processes

pytest_plugins = ["pytester"]

TEXT = (Path(recyclic.__file__).parents[1] / "docs" / "testing.md").read_text(encoding="utf-8")
EXAMPLES = {
    found[1]: block
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    if (found := re.search(r"def (test_\w+)\(module_host", block))
}


FIXTURES = "".join(
    re.findall(r"^@pytest\.fixture\n.*?\n\n\n", "\n\n\n".join(EXAMPLES.values()), re.DOTALL | re.MULTILINE)
)


def test_there_are_examples():
    assert len(EXAMPLES) >= 3
    assert "async def till" in FIXTURES


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_the_documentation_passes(fake_kit, name):
    imports = "import pytest\nfrom recyclic.testing import ANY, faults\n"
    fake_kit.run("", marks=imports + FIXTURES + EXAMPLES[name]).assert_outcomes(passed=1)
