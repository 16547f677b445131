"""check(): what it looks at, what it leaves out, and what it makes of what it could not find out."""

from __future__ import annotations

from pathlib import Path

import pytest

from recyclic.config import Config
from recyclic.errors import ConfigError, ModuleError
from recyclic.testing.contract.engine import check
from recyclic.testing.contract.finding import Finding, Place, Severity
from recyclic.testing.contract.report import Ignored, Report, Unjudged
from recyclic.testing.contract.rule import Selection, all_rules, find_rule

BROKEN = Path(__file__).parent / "broken"
PROJECT = Path(__file__).parents[3]

HEALTHY = """
from fastapi import APIRouter
from pydantic import BaseModel

from recyclic import Event, ModuleBase


class {name}Counted(Event):
    number: int
    label: str | None = None


class Settings(BaseModel):
    size: int = 3


class Box(BaseModel):
    label: str
    weight_grams: int


class Module(ModuleBase):
    emits = ({name}Counted,)
    settings = Settings

    def __init__(self):
        self.boxes = []

    async def startup(self, app, config):
        self.size = config["size"]

    async def shutdown(self):
        self.boxes.clear()

    def register_routes(self, app):
        router = APIRouter(prefix="/api/modules/{id}")

        @router.get("/boxes")
        async def boxes() -> list[Box]:
            return self.boxes

        @router.post("/boxes", status_code=201)
        async def add(box: Box) -> Box:
            self.boxes.append(box)
            await self.bus.emit("{id}_counted", number=len(self.boxes), label=box.label)
            return box

        app.include_router(router)

    def register_signals(self, bus):
        self.bus = bus
        bus.on("{neighbour}_counted", self.hear)

    async def hear(self, number: int, label: str | None = None, **rest):
        self.boxes.append(Box(label=label or "", weight_grams=number))


MODULE_CLASS = Module
"""


@pytest.mark.slow
def test_modules_of_the_repository_are_silent(warm_parent):
    report = check(Config.load(PROJECT / "config.toml", environ={}), parent=warm_parent)
    assert [str(finding) for finding in report.findings] == []
    assert report.unjudged == ()
    assert report.exit_code == 0
    assert len(report.modules) >= 4


@pytest.mark.slow
def test_healthy_modules_are_silent(write_module, check_folder):
    names = ["attic", "cellar", "shed"]
    for name, neighbour in zip(names, [*names[1:], names[0]], strict=True):
        code = HEALTHY.replace("{name}", name.title()).replace("{id}", name).replace("{neighbour}", neighbour)
        events = f'[events]\nemits = ["{name}_counted"]\nconsumes = ["{neighbour}_counted"]'
        folder = write_module(code, events, name)
    report = check_folder(folder)
    assert [str(finding) for finding in report.findings] == []
    assert report.unjudged == ()
    assert report.modules == ("attic", "cellar", "shed")


def test_no_module_is_a_failure(warm_parent):
    report = check(Config.build(), parent=warm_parent)
    assert report.findings == ()
    assert report.exit_code == 2


def test_module_that_does_not_exist_is_named_with_the_nearest(warm_parent):
    with pytest.raises(ModuleError, match=r"there is no module 'cais'.*caisse"):
        check(Config.build(), modules=["cais"], parent=warm_parent)


@pytest.mark.slow  # a process of its own
def test_named_module_is_checked_though_it_is_not_enabled(check_folder):
    report = check_folder(BROKEN / "RCY301_import_fails", modules=["attic"], select=["RCY3"])
    assert report.modules == ("attic",)
    report = check(Config.build(), modules=["members"], select=["RCY1"])
    assert (report.modules, report.exit_code) == (("members",), 0)


def test_only_the_named_module_is_reported(check_folder):
    report = check_folder(BROKEN / "RCY202_needs_what_comes_later", modules=["ladder"], select=["RCY2"])
    assert report.modules == ("ladder",)
    assert report.findings == ()


def test_nothing_runs_for_rules_that_need_nothing_run(check_folder):
    report = check_folder(
        BROKEN / "RCY301_import_fails", select=["RCY1", "RCY2"], ignore=["RCY205", "RCY206"], parent=None
    )
    assert report.exit_code == 0
    assert {rule.id[:4] for rule in report.rules} == {"RCY1", "RCY2"}


def test_ignored_finding_is_kept_with_its_reason(write_module, check_folder):
    ignore = '[checks]\nignore = [{ rule = "RCY304", reason = "the next version mends it" }]'
    folder = write_module(
        (BROKEN / "RCY304_constructor_wants_an_argument/modules/attic/__init__.py").read_text(), ignore
    )
    report = check_folder(folder, select=["RCY3"])
    assert report.findings == ()
    assert [(each.finding.rule, each.reason) for each in report.ignored] == [("RCY304", "the next version mends it")]
    assert report.exit_code == 0


def test_every_finding_is_told_not_the_first(check_folder, write_module):
    code = "import threading\nthreading.Thread(target=int).start()\nX = {}['a']\n"
    report = check_folder(write_module(code), select=["RCY1", "RCY2", "RCY3"])
    assert [finding.rule for finding in report.findings] == ["RCY301", "RCY305"]


def test_import_failure_shows_only_the_modules_own_lines(check_folder):
    (finding,) = check_folder(BROKEN / "RCY301_import_fails", select=["RCY301"]).findings
    first, *lines = finding.what.splitlines()
    assert first == "importing it raises KeyError: 'right'"
    assert [line.strip() for line in lines] == ['__init__.py:12 in <module>: HEIGHT = SHELVES["right"]']
    assert (Path(finding.place.file).name, finding.place.line) == ("__init__.py", 12)


class TestSelection:
    def test_prefixes_choose_and_ignore_wins(self):
        chosen = Selection.of(["rcy4,RCY501", "RCY502"], ["RCY404"])
        ids = [rule.id for rule in chosen.rules]
        assert "RCY404" not in ids
        assert {"RCY401", "RCY501", "RCY502"} <= set(ids)
        assert not any(each.startswith(("RCY1", "RCY503")) for each in ids)

    @pytest.mark.parametrize("wrong", ["RCY490", "W4", "RCY8"])
    def test_prefix_of_no_rule_is_refused(self, wrong):
        with pytest.raises(ConfigError, match=f"no rule begins with '{wrong}'"):
            Selection.of([wrong])

    def test_no_rule_left_is_refused(self):
        with pytest.raises(ConfigError, match="no rule is left"):
            Selection.of(["RCY404"], ["RCY4"])

    def test_a_reserved_rule_can_be_ignored_already(self):
        assert len(Selection.of([], ["RCY705"]).rules) == len(all_rules())

    def test_unknown_rule_is_told_the_nearest(self):
        with pytest.raises(ConfigError, match=r"no rule 'RCY440'.*RCY4"):
            find_rule("RCY440")


class TestExitCode:
    finding = Finding(
        rule="RCY401", name="", severity=Severity.ERROR, module="attic", what="", place=Place(), remedy=""
    )
    unjudged = Unjudged("attic", "RCY501", "it could not be run")

    def report(self, **fields):
        return Report(**{"modules": ("attic",), "rules": (), **fields})

    def test_a_warning_is_no_failure(self):
        import dataclasses  # noqa: PLC0415 - here alone

        warning = dataclasses.replace(self.finding, severity=Severity.WARNING)
        assert self.report(findings=(warning,)).exit_code == 0

    def test_an_error_is_one(self):
        assert self.report(findings=(self.finding,), unjudged=(self.unjudged,)).exit_code == 1

    def test_what_was_not_judged_and_not_explained_is_not_clean(self):
        assert self.report(unjudged=(self.unjudged,)).exit_code == 2

    def test_an_ignored_error_explains_what_was_not_judged(self):
        ignored = Ignored(self.finding, "a reason")
        assert self.report(ignored=(ignored,), unjudged=(self.unjudged,)).exit_code == 0
