"""The documentation names every setting and every key of a manifest, and its examples are read as they stand."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import recyclic
from recyclic.config import Config
from recyclic.core.manifest import read_manifest
from recyclic.version import __version__

ROOT = Path(recyclic.__file__).parents[1]


def example(name: str) -> str:
    found = re.search(r"```toml\n(.*?)```", (ROOT / "docs" / name).read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1]


def test_the_configuration_of_the_documentation_has_every_key_and_its_default(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(example("configuration.md"), encoding="utf-8")
    shown = tomllib.loads(file.read_text(encoding="utf-8"))
    loaded = Config.load(file, {})
    for name, field in Config.model_fields.items():
        if name in ("path", "module_settings"):
            continue
        assert name in shown, name
        if isinstance(shown[name], dict):
            keys = {key for key, value in shown[name].items() if not isinstance(value, dict)}
            assert keys == set(type(getattr(loaded, name)).model_fields), name
        elif name != "data_dir":
            assert shown[name] == field.default, name
    assert loaded.server == Config.build().server
    assert loaded.log == Config.build().log


def test_the_manifest_of_the_documentation_is_a_good_one_with_every_key(tmp_path):
    file = tmp_path / "module.toml"
    file.write_text(example("module-contract.md"), encoding="utf-8")
    manifest = read_manifest(file, "paheko")
    for part in (manifest, manifest.ui, manifest.events, manifest.dependencies, manifest.checks):
        assert all(getattr(part, name) for name in part.__slots__), part


@pytest.mark.parametrize("name", recyclic.__all__)
def test_every_public_name_can_be_imported(name):
    assert getattr(recyclic, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        recyclic.Nothing  # noqa: B018


def test_the_version_is_the_projects():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == __version__ == recyclic.__version__
