"""Folded names: what two spellings of one name have in common."""

from __future__ import annotations

import pytest

from recyclic.modules.members.names import fold, name_key


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Jean-François  LEBŒUF", "jean francois leboeuf"),
        ("d’Arc", "d arc"),
        ("d'Arc", "d arc"),
        ("Straße", "strasse"),
        ("Łukasz Đorđe Øystein Æsir", "lukasz dorde oystein aesir"),
        ("ＦＵＬＬ\u3000ＷＩＤＴＨ", "full width"),
        ("e\u0301", "e"),
        ("İstanbul", "istanbul"),
        ("\x00a\u200bb", "a b"),
        ("", ""),
    ],
)
def test_fold(text, folded):
    assert fold(text) == folded
    assert fold(folded) == folded


def test_name_key_does_not_mind_which_name_comes_first():
    assert name_key("Zoé", "Le Bœuf") == name_key("LE BOEUF", "zoe")
    assert name_key("Zoé", "Lebœuf") != name_key("Zoé", "Leveau")
