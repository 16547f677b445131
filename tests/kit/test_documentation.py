"""docs/testing.md names every option, ini key and marker of the kit, and shows what is really printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from recyclic.testing.flow_coverage import FlowCoverage
from recyclic.testing.flow_record import FlowRecord
from recyclic.testing.marks import MARKERS
from recyclic.testing.plugin import pytest_addoption

TEXT = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")


@pytest.fixture
def parser() -> pytest.Parser:
    parser = pytest.Parser(_ispytest=True)
    pytest_addoption(parser)
    return parser


def test_every_option_and_ini_key_is_documented(parser):
    options = [name for option in parser.getgroup("recyclic").options for name in option.names()]
    assert "--flow-coverage" in options
    assert [name for name in [*options, *parser._inidict] if f"`{name}" not in TEXT] == []


def test_every_marker_is_documented():
    assert [name for name in MARKERS if f"mark.{name}(" not in TEXT] == []


def test_the_flow_coverage_that_is_shown_is_what_is_printed():
    counts = {"ok": 1, "retried": 5, "dead-lettered": 1}
    record = FlowRecord.load(
        {"hosts": 3, "booted": ["books"], "flows": [["sale_closed", who, counts] for who in ("books", "books (stats)")]}
    )
    assert "\n".join(FlowCoverage(record).lines()) in TEXT
