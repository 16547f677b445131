"""Where what is kept of a test lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from recyclic.testing.artefacts import folder_for

ROOT = Path("test-results")


def test_folder_has_the_tests_own_name():
    assert folder_for(ROOT, "tests/test_panel.py::TestPanel::test_sync[throw]").name == (
        "tests-test_panel.py-TestPanel-test_sync-throw"
    )


@pytest.mark.parametrize(
    "node_id", ["x" * 300, "é" * 300, "日" * 300, "../../../etc::x", "..", "a/b:c*?\\\0", "\ud800"]
)
def test_every_name_is_one_that_file_systems_take(node_id):
    folder = folder_for(ROOT, node_id)
    assert folder.parent == ROOT
    assert folder.name not in {"", ".", ".."}
    assert len(folder.name.encode()) < 200
    assert folder.name.isascii()


def test_tests_with_names_that_are_alike_do_not_share_a_folder():
    assert folder_for(ROOT, "test[é]") != folder_for(ROOT, "test[è]")
    assert folder_for(ROOT, "x" * 300) != folder_for(ROOT, "x" * 301)
