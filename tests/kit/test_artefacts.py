"""What is kept of a failed test, and where."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from recyclic.testing.artefacts import folder_for
from recyclic.testing.journal_file import read_journal
from recyclic.testing.timeline import timeline

pytest_plugins = ["pytester"]

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


FAILING = """
async def test_close(module_host):
    async with module_host.act("close the till") as trace:
        await module_host.http.post("/api/modules/till/close/a")
    trace.emitted("entry_written", session_id="b")
"""


def kept(result) -> list[str]:
    first = result.outlines.index("kept in test-results/test_shop.py-test_close:")
    return [line.strip() for line in result.outlines[first + 1 : first + 4]]


@pytest.mark.slow
def test_a_failure_keeps_its_journal_its_timeline_and_a_picture_and_names_them(fake_kit):
    result = fake_kit.run(FAILING, "--junitxml=report.xml")
    result.assert_outcomes(failed=1)
    assert kept(result) == ["journal.jsonl", "sequence.svg", "timeline.txt"]
    folder = fake_kit.pytester.path / "test-results" / "test_shop.py-test_close"
    written = read_journal(folder / "journal.jsonl")
    assert (written.heading["of"], written.ended) == ("test_shop.py::test_close", True)
    assert written.heading["rerun"] == "pytest test_shop.py::test_close --recyclic-redis=fake"
    shown = (folder / "timeline.txt").read_text("utf-8").splitlines()
    assert [line for line in timeline(written.records) if line not in shown] == []
    drawn = ET.parse(folder / "sequence.svg").getroot()
    said = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert said[0].startswith("test_shop.py::test_close, on fake")
    assert {"till", "books", "sale_closed", "POST /api/modules/till/close/a → 200"} <= set(said)
    properties = ET.parse(fake_kit.pytester.path / "report.xml").getroot().iter("property")
    assert [one.get("value") for one in properties] == ["test-results/test_shop.py-test_close"]


@pytest.mark.slow
def test_what_fails_at_its_end_is_kept_as_well(fake_kit):
    result = fake_kit.run(
        """
    class ClumsyModule(BooksModule):
        async def book(self, **data):
            raise ValueError("no account")

    @pytest.mark.modules(TillModule, ClumsyModule)
    async def test_close(module_host):
        await module_host.http.post("/api/modules/till/close/a")
    """,
        "--junitxml=report.xml",
    )
    result.assert_outcomes(passed=1, errors=1)
    assert kept(result) == ["journal.jsonl", "sequence.svg", "timeline.txt"]
    properties = ET.parse(fake_kit.pytester.path / "report.xml").getroot().iter("property")
    assert [one.get("value") for one in properties] == ["test-results/test_shop.py-test_close"]


@pytest.mark.slow
def test_a_test_that_passes_leaves_nothing(fake_kit):
    old = fake_kit.pytester.path / "test-results" / "test_shop.py-test_close" / "old.txt"
    old.parent.mkdir(parents=True)
    old.touch()
    result = fake_kit.run("""
    async def test_close(module_host, request):
        await module_host.http.post("/api/modules/till/close/a")
        assert module_host.journal.file.path.is_file()

    async def test_skipped(module_host):
        await module_host.http.post("/api/modules/till/close/a")
        pytest.skip("on purpose")
    """)
    result.assert_outcomes(passed=1, skipped=1)
    assert not (fake_kit.pytester.path / "test-results").exists()


@pytest.mark.slow
def test_a_sweep_keeps_what_its_first_failure_left(fake_kit):
    result = fake_kit.run("""
    class ForgetfulModule(BooksModule):
        async def book(self, session_id: str, total_cents: int, **data):
            assert not getattr(self, "done", False), "not twice"
            self.done = True

    @faults.doubled
    @pytest.mark.modules(TillModule, ForgetfulModule)
    async def test_close(module_host):
        await module_host.http.post("/api/modules/till/close/a")
    """)
    result.assert_outcomes(failed=1)
    assert kept(result) == ["journal.jsonl", "sequence.svg", "timeline.txt"]
    folder = fake_kit.pytester.path / "test-results" / "test_shop.py-test_close"
    assert "not twice" in (folder / "timeline.txt").read_text("utf-8")
    assert any("not twice" in line for line in timeline(read_journal(folder / "journal.jsonl").records))


@pytest.mark.slow
def test_where_nothing_can_be_kept_the_failure_says_so(fake_kit):
    (fake_kit.pytester.path / "test-results").touch()
    result = fake_kit.run(FAILING)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "kept in test-results/test_shop.py-test_close:",
            "the journal * cannot be written: *",
            "no timeline.txt and sequence.svg: *",
        ]
    )
