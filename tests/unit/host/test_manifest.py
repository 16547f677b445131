"""The manifest reader: every problem of a module.toml at once, under the verifier's rule ids."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recyclic.core.manifest import MAX_BYTES, check_manifest, read_manifest
from recyclic.errors import ManifestError

GOOD = """\
name = "Paheko Sync"
version = "0.1.0"
description = "Synchronisation comptable avec Paheko"
requires_host = ">=0.1"
[permissions]
section = "accounting"
level = "write"
[ui]
routes = ["/modules/paheko", "/modules/paheko/entries/:id"]
slots = ["sale_details", "settings_menu"]
api = ["caisse"]
[ui.provides.entry_details]
props = { entry_id = "string", amount = "number" }
[events]
emits = ["entry_written"]
consumes = ["sale_closed"]
group = "paheko_sync"
[dependencies]
modules = ["caisse"]
python = ["httpx>=0.27"]
[checks]
ignore = [{ rule = "RCY705", reason = "third-party map widget logs a warning" }]
"""


@pytest.fixture
def check(tmp_path: Path):
    """Return `check(text)`: the problems as (rule, text without the path)."""
    path = tmp_path / "module.toml"

    def check(text: str | bytes) -> list[tuple[str, str]]:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        manifest, problems = check_manifest(path, "paheko")
        assert (manifest is None) == bool(problems)
        return [(problem.rule, str(problem).removeprefix(f"{path}: ")) for problem in problems]

    return check


def with_line(key: str, line: str) -> str:
    """The good manifest with the line of `key` replaced."""
    lines = [line if text.split(" = ")[0] == key else text for text in GOOD.splitlines()]
    assert lines != GOOD.splitlines(), key
    return "\n".join(lines)


def test_a_good_manifest_is_read_whole(tmp_path):
    path = tmp_path / "module.toml"
    path.write_text(GOOD)
    manifest = read_manifest(path, "paheko")
    assert (manifest.id, manifest.name, manifest.version) == ("paheko", "Paheko Sync", "0.1.0")
    assert (manifest.permissions.section, manifest.permissions.level) == ("accounting", "write")
    assert manifest.ui.slots == ("sale_details", "settings_menu")
    assert manifest.ui.provides["entry_details"].props == {"entry_id": "string", "amount": "number"}
    assert (manifest.events.consumes, manifest.events.group) == (("sale_closed",), "paheko_sync")
    assert manifest.dependencies.python == ("httpx>=0.27",)
    assert manifest.checks.ignore[0].rule == "RCY705"
    assert manifest.path == path


def test_what_may_be_left_out_has_defaults(tmp_path):
    path = tmp_path / "module.toml"
    path.write_text('name="x"\nversion="1"\ndescription="d"\n[permissions]\nsection="users"\nlevel="read"\n')
    manifest = read_manifest(path, "scale")
    assert manifest.events.group == "scale"
    assert manifest.ui.routes == manifest.events.emits == manifest.dependencies.modules == ()


def test_all_problems_are_told_at_once(tmp_path):
    path = tmp_path / "module.toml"
    path.write_text(
        'nmae = "x"\nversion = "one"\n[permissions]\nsection = "till"\nlevel = "none"\n[events]\nemits = "x"\n'
    )
    with pytest.raises(ManifestError) as caught:
        read_manifest(path, "paheko")
    assert sorted(problem.rule for problem in caught.value.problems) == [
        "RCY102",
        "RCY102",
        "RCY103",
        "RCY104",
        "RCY105",
        "RCY106",
        "RCY106",
    ]
    assert f"{path}: nmae: unknown key: did you mean name?" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "line", "rule", "text"),
    [
        ("name", "", "RCY102", "name: this key is missing"),
        ("name", "name = 3", "RCY104", "name: 3 is not text"),
        ("name", 'name = " "', "RCY104", "name: this is empty"),
        ("name", 'name = "x"\nnames = 1', "RCY103", "names: unknown key: did you mean name?"),
        ("version", 'version = "1.x"', "RCY105", "version: '1.x' is not a version"),
        ("requires_host", 'requires_host = ">=99"', "RCY109", "requires_host: the module needs a host >=99, this is"),
        ("requires_host", 'requires_host = "new"', "RCY104", "requires_host: 'new' is not a version range"),
        (
            "section",
            'section = "cause"',
            "RCY106",
            "[permissions] section: 'cause' is no section: did you mean caisse?",
        ),
        ("level", 'level = "none"', "RCY106", "[permissions] level: 'none' is no level"),
        ("level", 'level = "write"\nlevels = 1', "RCY103", "[permissions] levels: unknown key: did you mean level?"),
        ("routes", 'routes = ["/modules/caisse"]', "RCY107", "[ui] routes: '/modules/caisse' does not fit"),
        ("routes", 'routes = ["/modules/pahekos"]', "RCY107", "[ui] routes"),
        ("routes", 'routes = ["/modules/paheko/../caisse"]', "RCY107", "[ui] routes"),
        ("routes", 'routes = ["/modules/paheko", "/modules/paheko"]', "RCY107", "'/modules/paheko' stands here twice"),
        ("slots", 'slots = ["SaleDetails"]', "RCY108", "[ui] slots: 'SaleDetails' does not fit: slot names are snake"),
        ("slots", 'slots = ["a", "a"]', "RCY108", "[ui] slots: 'a' stands here twice"),
        ("emits", 'emits = ["entry-written"]', "RCY108", "[events] emits: 'entry-written' does not fit"),
        ("consumes", 'consumes = ["a", 1]', "RCY104", "[events] consumes: 1 is not text"),
        ("consumes", 'consumes = "sale_closed"', "RCY104", "[events] consumes: 'sale_closed' is not a list of texts"),
        ("group", 'group = "a.b"', "RCY104", "[events] group: 'a.b' is not a name"),
        ("props", 'props = { id = "uuid" }', "RCY104", "[ui.provides.entry_details.props] id: 'uuid' is no type"),
        ("props", "props = 1", "RCY104", "[ui.provides.entry_details] props: 1 is not a table"),
        ("props", "prosp = 1", "RCY103", "[ui.provides.entry_details] prosp: unknown key: did you mean props?"),
        ("modules", 'modules = ["Caisse"]', "RCY104", "[dependencies] modules: 'Caisse' does not fit"),
        ("python", 'python = ["httpx>>1"]', "RCY104", "[dependencies] python: 'httpx>>1' is not a requirement"),
        ("ignore", 'ignore = [{ rule = "RCY705" }]', "RCY110", "ignore[0]: RCY705 is ignored without a reason"),
        (
            "ignore",
            'ignore = [{ rule = "705", reason = "x" }]',
            "RCY110",
            "ignore[0]: the rule's id is missing or malf",
        ),
        ("ignore", 'ignore = ["RCY705"]', "RCY110", "ignore[0]: this is not a table"),
        ("ignore", 'ignore = [{ rule = "RCY705", reason = "x", why = "" }]', "RCY103", "ignore[0]: unknown key why"),
    ],
)
def test_each_breach_has_its_rule_place_and_remedy(check, key, line, rule, text):
    told = check(with_line(key, line))
    assert [found for found, _ in told] == [rule], told
    assert text in told[0][1]
    assert told[0][1].count(": ") >= 2, "what, where and remedy"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"name = \n", "line 1, column 8"),
        (b'name = "a"\nname = "b"\n', "Cannot overwrite a value"),
        (b'x = 1\nname = "caf\xe9"\n', "line 2 is not UTF-8"),
        (b"\x00\x01\x02", "cannot be read"),
        (b"x = " + b"[" * 3000, "nested too deep"),
        (b"x = " + b"[" * 900 + b"]" * 900, ""),
        (b"a" * (MAX_BYTES + 1), "too big for a manifest"),
        (b"x = 2024-99-99", "cannot be read"),
        (b"x = " + b"9" * 5000, "cannot be read"),
    ],
)
def test_unreadable_files_are_a_problem_not_a_crash(check, content, text):
    told = check(content)
    assert told
    assert text in told[0][1]
    if text:
        assert [rule for rule, _ in told] == ["RCY101"]


def test_a_byte_order_mark_is_no_problem(check):
    assert check(b"\xef\xbb\xbf" + GOOD.encode()) == []


def test_a_missing_file_a_folder_and_a_pipe_are_problems(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, text in [("gone", "there is no module.toml"), ("", "not a file"), ("pipe", "not a file")]:
        manifest, problems = check_manifest(tmp_path / name, "paheko")
        assert manifest is None
        assert [problem.rule for problem in problems] == ["RCY101"]
        assert text in str(problems[0])


def test_long_values_are_cut_in_messages(check):
    ((_, text),) = check(with_line("version", f'version = "{"9" * 5000}x"'))
    assert len(text) < 300
