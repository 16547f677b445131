"""No test waits by sleeping. What sleeps for another reason, such as a handler that takes real time, says it beside."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
SLEEPERS = {"asyncio", "time", "anyio", "trio"}
FILES = sorted(
    file for file in TESTS.rglob("*.py") if "sleep(" in file.read_text(encoding="utf-8") and file != Path(__file__)
)


def sleeps(text: str) -> list[int]:
    """Return the lines that sleep; giving way to others, `sleep(0)`, is no sleep."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return [
        call.lineno
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "sleep"
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id in SLEEPERS
        and not (call.args and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0)
    ]


def reasons(text: str) -> dict[int, str]:
    """Return the comments by line, without what they tell the linter."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    found = {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}
    return {line: re.sub(r"#\s*noqa: [A-Z0-9, ]+(- )?|#", "", comment).strip() for line, comment in found.items()}


def unexplained(text: str) -> list[int]:
    told = reasons(text)
    return [line for line in sleeps(text) if len(told.get(line, "").split()) < 3]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(TESTS)))
def test_a_sleep_says_beside_it_why_it_is_no_waiting(file):
    lines = unexplained(file.read_text(encoding="utf-8"))
    assert not lines, (
        f"{file.relative_to(TESTS.parent)} sleeps in lines {lines}: leave an act, wait for an event, or move the kit's "
        "clock; what is no waiting has a comment that says what it is"
    )


def test_what_is_no_reason_is_none():
    assert unexplained("asyncio.sleep(1)  # noqa: ASYNC110 - so\n") == [1]
    assert unexplained("time.sleep(seconds)\n") == [1]
    assert unexplained("asyncio.sleep(0)\nasyncio.sleep(1)  # a handler takes time\n") == []
