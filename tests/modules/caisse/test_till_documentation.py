"""The till's page says every code, reason and setting that a caller may meet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recyclic.modules import caisse
from recyclic.modules.caisse.settings import CaisseSettings

PAGE = (Path(__file__).parents[3] / "docs" / "modules" / "caisse.md").read_text(encoding="utf-8")
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in sorted(Path(caisse.__file__).parent.glob("*.py")))
CODES = set(re.findall(r'(?:ApiError\(\s*\d+,|SheetError\()\s*"([a-z_]+)"', SOURCES))
REASONS = set(re.findall(r'"((?:date|type|price|method|quotes|in)_[a-z_]+)"', SOURCES)) - {"price_cents", "in_month"}


def test_codes_and_reasons_are_found_at_all():
    assert {"session_closed", "not_a_csv"} <= CODES
    assert {"date_missing", "price_zero", "quotes_damaged", "in_another_import"} <= REASONS


@pytest.mark.parametrize("name", sorted(CODES | REASONS | CaisseSettings.model_fields.keys()))
def test_it_is_documented(name):
    assert f"`{name}`" in PAGE
