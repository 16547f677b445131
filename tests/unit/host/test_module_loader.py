"""Finding, checking and importing modules; everything wrong is told at once."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

from recyclic.config import Config
from recyclic.core.module_loader import ModuleRegistry, discover
from recyclic.core.module_settings import module_settings
from recyclic.errors import ModuleError
from tests.unit.host.conftest import CODE, MANIFEST


@pytest.fixture
def load(tmp_path: Path):
    def load(*enabled: str, **more) -> ModuleRegistry:
        return ModuleRegistry.load(Config.build(modules={"enabled": enabled, "path": [tmp_path / "modules"]}, **more))

    return load


@pytest.fixture
def told(load):
    def told(*enabled: str, **more) -> list[str]:
        with pytest.raises(ModuleError) as caught:
            load(*enabled, **more)
        return [str(problem) for problem in caught.value.problems]

    return told


def needs(*modules: str, python: tuple[str, ...] = ()) -> str:
    return MANIFEST + f"[dependencies]\nmodules = {list(modules)}\npython = {list(python)}\n"


def test_modules_are_loaded_in_the_enabled_order(load, write_module):
    write_module("rcy_a")
    write_module("rcy_b", needs("rcy_c"))
    write_module("rcy_c")
    registry = load("rcy_c", "rcy_b")
    assert [module.id for module in registry] == ["rcy_c", "rcy_b"]
    assert registry.get("rcy_b").manifest.dependencies.modules == ("rcy_c",)
    assert registry.get("rcy_b").source.origin == "path"
    assert "rcy_a" not in registry


def test_a_dependency_that_is_not_enabled_says_so_in_the_agreed_words(told, write_module):
    write_module("rcy_paheko", needs("rcy_caisse"))
    write_module("rcy_caisse")
    assert told("rcy_paheko") == ["rcy_paheko needs rcy_caisse: add it to [modules] enabled in config.toml"]


def test_a_dependency_listed_later_says_where_to_move_it(told, write_module):
    write_module("rcy_paheko", needs("rcy_caisse"))
    write_module("rcy_caisse")
    assert told("rcy_paheko", "rcy_caisse") == ["rcy_paheko needs rcy_caisse: move rcy_caisse before rcy_paheko"]


def test_a_circle_is_told_once_and_as_a_circle(told, write_module):
    write_module("rcy_a", needs("rcy_b"))
    write_module("rcy_b", needs("rcy_c"))
    write_module("rcy_c", needs("rcy_a"))
    (line,) = told("rcy_a", "rcy_b", "rcy_c")
    assert "rcy_a → rcy_b → rcy_c → rcy_a" in line


def test_a_module_that_needs_itself_is_a_circle(told, write_module):
    write_module("rcy_a", needs("rcy_a"))
    (line,) = told("rcy_a")
    assert "rcy_a → rcy_a" in line


def test_dense_dependencies_are_checked_in_no_time(load, write_module):
    names = [f"rcy_m{number}" for number in range(40)]
    for number, name in enumerate(names):
        write_module(name, needs(*names[:number]))
    assert len(load(*names)) == 40


def test_an_unknown_module_gets_the_nearest_name(told, write_module):
    write_module("rcy_scale")
    assert told("rcy_scael", module_settings={"rcy_scal": {}}) == [
        "configuration: [modules] enabled: there is no module 'rcy_scael': did you mean rcy_scale?",
        "configuration: [modules.rcy_scal]: there is no module 'rcy_scal': did you mean rcy_scale?",
    ]


def test_problems_of_all_kinds_are_told_together(told, write_module):
    write_module("rcy_a", MANIFEST.replace("1.0", "x"))
    write_module("rcy_b", needs("rcy_z", python=("surely-not-installed>=1", "httpx<0.1")))
    write_module("rcy_c", code="1/0")
    write_module("rcy_d", code="")
    lines = told("rcy_a", "rcy_b", "rcy_c", "rcy_d", "rcy_gone")
    assert len(lines) == 7, lines
    for text in [
        "not a version",
        "rcy_z",
        "surely-not-installed",
        "httpx",
        "ZeroDivisionError",
        "MODULE_CLASS",
        "rcy_gone",
    ]:
        assert any(text in line for line in lines), text


class TestRequirements:
    @pytest.mark.parametrize(
        ("requirement", "text"),
        [
            ("surely-not-installed", "surely-not-installed is not installed"),
            ("httpx<0.2", "is installed"),
            ("sqlalchemy[surely_no_such_driver,mysql]>=2", "its extra 'mysql' is not installed: mysqlclient"),
        ],
    )
    def test_unmet_ones_are_told_with_the_command_that_helps(self, told, write_module, requirement, text):
        write_module("rcy_a", needs(python=(requirement,)))
        (line,) = told("rcy_a")
        assert text in line
        assert f"run: pip install '{requirement}'" in line

    @pytest.mark.parametrize(
        "requirement", ["httpx>=0.20", "SQLAlchemy[asyncio]", "surely-not-installed; sys_platform == 'win32'", "HTTPX"]
    )
    def test_met_ones_and_those_of_other_systems_are_silent(self, load, write_module, requirement):
        write_module("rcy_a", needs(python=(requirement,)))
        assert len(load("rcy_a")) == 1


class TestImport:
    @pytest.mark.parametrize(
        ("code", "text"),
        [
            ("import surely_not_there", "ModuleNotFoundError: No module named 'surely_not_there'"),
            ("x = 1\nraise SystemExit(3)", "SystemExit: 3"),
            ("def broken(:", "SyntaxError"),
            ("x = 1", "has no MODULE_CLASS"),
            ("MODULE_CLASS = 3", "MODULE_CLASS is int 3, not a ModuleBase class"),
            ("class X: ...\nMODULE_CLASS = X", "not a ModuleBase class"),
            ("from recyclic import ModuleBase as MODULE_CLASS", "does not implement shutdown, startup"),
            (CODE.replace("async def shutdown(self): ...", ""), "TestedModule does not implement shutdown"),
            (
                CODE.replace("startup(", "__init__(self, x): ...\n    async def startup(", 1).replace(
                    "async def __", "def __"
                ),
                "cannot be built: TypeError",
            ),
            (None, "it has no __init__.py"),
        ],
    )
    def test_code_that_cannot_be_used_is_told_with_its_place(self, told, write_module, code, text):
        folder = write_module("rcy_a", code=code)
        (line,) = told("rcy_a")
        assert text in line
        assert str(folder) in line

    def test_the_place_is_the_modules_own_line(self, told, write_module):
        folder = write_module("rcy_a", code="import json\n\njson.loads('{')\n")
        (line,) = told("rcy_a")
        assert line.startswith(f"{folder / '__init__.py'}:3: ")

    def test_a_name_that_python_knows_already_is_refused(self, told, write_module):
        write_module("json")
        (line,) = told("json")
        assert "Python finds another package 'json' first" in line
        assert "rename the module's folder" in line

    def test_nothing_is_imported_while_its_manifest_is_wrong(self, told, write_module):
        write_module("rcy_a", MANIFEST.replace("1.0", "x"), code="raise RuntimeError")
        (line,) = told("rcy_a")
        assert "not a version" in line
        assert "rcy_a" not in sys.modules


class TestDiscovery:
    def test_the_monorepos_modules_are_found_without_importing_them(self):
        for name in [name for name in sys.modules if name.startswith("recyclic.modules.")]:
            del sys.modules[name]
        found = discover(Config.build())
        assert {"caisse", "members", "barcodes", "paheko"} <= set(found)
        assert found["caisse"].origin == "monorepo"
        assert found["caisse"].package == "recyclic.modules.caisse"
        assert not [name for name in sys.modules if name.startswith("recyclic.modules.")]

    def test_folders_without_a_manifest_are_not_modules(self, tmp_path, write_module):
        write_module("rcy_a")
        (tmp_path / "modules" / "notes").mkdir()
        (tmp_path / "modules" / "readme.txt").write_text("x")
        found = discover(Config.build(modules={"path": [tmp_path / "modules"]}))
        assert [source.id for source in found.values() if source.origin == "path"] == ["rcy_a"]

    def test_an_id_found_twice_names_both_places(self, tmp_path, write_module):
        one, two = write_module("rcy_a"), write_module("rcy_a", place="more")
        with pytest.raises(ModuleError) as caught:
            discover(Config.build(modules={"path": [tmp_path / "modules", tmp_path / "more"]}))
        assert str(one) in str(caught.value)
        assert str(two) in str(caught.value)

    def test_an_id_of_the_monorepo_cannot_be_taken(self, tmp_path, write_module):
        folder = write_module("caisse")
        with pytest.raises(ModuleError, match="two modules have the id caisse") as caught:
            discover(Config.build(modules={"path": [tmp_path / "modules"]}))
        assert str(folder) in str(caught.value)
        assert "recyclic/modules/caisse" in str(caught.value)

    def test_places_that_cannot_be_searched_are_told_together(self, tmp_path, write_module):
        folder = write_module("rcy_a")
        write_module("Not-An-Id", place="more")
        with pytest.raises(ModuleError) as caught:
            discover(Config.build(modules={"path": [tmp_path / "gone", folder, tmp_path / "more"]}))
        assert len(caught.value.problems) == 3
        assert f"name the folder above it: {tmp_path / 'modules'}" in str(caught.value)
        assert "'Not-An-Id' cannot be a module's id" in str(caught.value)


class TestEntryPoints:
    @pytest.fixture
    def install(self, monkeypatch):
        def install(*points: tuple[str, str]) -> None:
            group = [importlib.metadata.EntryPoint(name, value, "recyclic.modules") for name, value in points]
            monkeypatch.setattr(importlib.metadata, "entry_points", lambda group_name=None, **_: group)

        return install

    def test_an_installed_package_is_a_module(self, tmp_path, write_module, install):
        write_module("rcy_pkg", place="site")
        sys.path.append(str(tmp_path / "site"))
        install(("rcy_scale", "rcy_pkg:TestedModule"))
        registry = ModuleRegistry.load(Config.build(modules={"enabled": ["rcy_scale"]}))
        assert registry.get("rcy_scale").source.origin == "entry point"
        assert registry.get("rcy_scale").cls.__name__ == "TestedModule"

    def test_one_that_names_nothing_is_told(self, install):
        install(("rcy_scale", "rcy_not_there"), ("rcy_other", "json.decoder"))
        with pytest.raises(ModuleError) as caught:
            discover(Config.build())
        assert len(caught.value.problems) == 2
        assert "entry point 'rcy_scale' = 'rcy_not_there'" in str(caught.value)


class TestOutsiders:
    @pytest.mark.parametrize(
        ("key", "line"),
        [
            ("routes", 'routes = ["/modules/rcy_a"]'),
            ("slots", 'slots = ["sale_details"]'),
            ("provides", 'provides.x.props = { a = "string" }'),
        ],
    )
    def test_pages_and_slots_from_outside_the_monorepo_are_refused_with_the_reason(self, told, write_module, key, line):
        write_module("rcy_a", MANIFEST + f"[ui]\n{line}\n")
        (text,) = told("rcy_a")
        assert f"[ui] {key}: rcy_a comes from outside the monorepo" in text
        assert "compiled into the host's one front end build" in text
        assert "recyclic/modules/" in text


def test_two_modules_with_one_consumer_group_are_refused(told, write_module):
    write_module("rcy_a", MANIFEST + '[events]\ngroup = "shared"\n')
    write_module("rcy_b", MANIFEST + '[events]\ngroup = "shared"\n')
    (line,) = told("rcy_a", "rcy_b")
    assert "rcy_b and rcy_a have the same consumer group 'shared'" in line


class TestSettings:
    CODE = CODE.replace(
        "class TestedModule(ModuleBase):",
        "from pydantic import BaseModel\n"
        "class Settings(BaseModel):\n    url: str\n    tries: int = 3\n    accounts: dict[str, str] = {}\n"
        "class TestedModule(ModuleBase):\n    settings = Settings",
    )

    def test_every_wrong_key_is_told_with_the_variable_that_sets_it(self, told, write_module):
        write_module("rcy_a", code=self.CODE)
        lines = told("rcy_a", module_settings={"rcy_a": {"trise": 1, "tries": "many"}})
        assert lines == [
            "configuration: [modules.rcy_a] trise: unknown key: did you mean tries?",
            "configuration: [modules.rcy_a] url: Field required: set it there or in RECYCLIC_MODULES__RCY_A__URL",
            (
                "configuration: [modules.rcy_a] tries: Input should be a valid integer, unable to parse string as an "
                "integer: set it there or in RECYCLIC_MODULES__RCY_A__TRIES"
            ),
        ]

    def test_a_table_without_settings_is_refused(self, told, write_module):
        write_module("rcy_a")
        assert told("rcy_a", module_settings={"rcy_a": {"x": 1}}) == [
            "configuration: [modules.rcy_a] x: rcy_a has no settings: remove the key"
        ]

    def test_the_environment_may_give_text_and_json(self, write_module, tmp_path):
        write_module("rcy_a", code=self.CODE)
        (tmp_path / "config.toml").write_text('[modules]\nenabled = ["rcy_a"]\npath = ["modules"]\n')
        environ = {
            "RECYCLIC_MODULES__RCY_A__URL": "[1]",
            "RECYCLIC_MODULES__RCY_A__TRIES": "7",
            "RECYCLIC_MODULES__RCY_A__ACCOUNTS": '{"cash": "530"}',
        }
        config = Config.load(tmp_path / "config.toml", environ)
        cls = ModuleRegistry.load(config).get("rcy_a").cls
        assert module_settings("rcy_a", cls, config) == {"url": "[1]", "tries": 7, "accounts": {"cash": "530"}}
