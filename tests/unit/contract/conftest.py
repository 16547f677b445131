"""What the verifier's tests share: one warm parent, and a way to check a folder with a configuration of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from recyclic.config import Config
from recyclic.testing.contract.engine import check
from recyclic.testing.contract.isolation import WarmParent


@pytest.fixture(scope="session")
def warm_parent():
    """One process that forks for all tests of this process."""
    with WarmParent() as parent:
        yield parent


@pytest.fixture
def check_folder(warm_parent):
    """Return a function that checks what a folder's config.toml enables, with the folder's front end if it has one."""

    def run(folder: Path, **options):
        frontend = folder / "frontend" if (folder / "frontend").is_dir() else None
        config = Config.load(folder / "config.toml", environ={})
        return check(config, frontend=frontend, **{"limit": 5.0, "parent": warm_parent, **options})

    return run


@pytest.fixture
def write_module(tmp_path):
    """Return a function that writes a module into a folder of its own and returns the folder."""

    def write(code, manifest="", module_id="attic"):
        home = tmp_path / "modules" / module_id
        home.mkdir(parents=True)
        text = (
            f'name = "{module_id}"\nversion = "1.0.0"\ndescription = "For one test"\n'
            f'[permissions]\nsection = "documents"\nlevel = "write"\n{manifest}'
        )
        (home / "module.toml").write_text(text, encoding="utf-8")
        (home / "__init__.py").write_text(code, encoding="utf-8")
        ids = sorted(path.name for path in (tmp_path / "modules").iterdir())
        enabled = ", ".join(f'"{name}"' for name in ids)
        (tmp_path / "config.toml").write_text(
            f'[modules]\nenabled = [{enabled}]\npath = ["modules"]\n', encoding="utf-8"
        )
        return tmp_path

    return write
