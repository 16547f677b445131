"""The fixtures that modules ship in `modules/<id>/testing.py`: loaded when a test file may use them, and not before."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from recyclic.testing.marks import HOSTS, kit_config

if TYPE_CHECKING:
    from recyclic.core.module_source import ModuleSource

_WORDS: Final = ("recyclic", *HOSTS)


class ModuleFixtures:
    """Loads them once per session."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._loaded = False

    def load_for(self, file: Path) -> None:
        """Load them if this test file, or a conftest, speaks of Recyclic.

        Raises:
            CollectError: a `testing.py` cannot be imported.
        """
        if not self._loaded and any(_speaks_of_us(one) for one in (file, *self._conftests())):
            self.load()

    def load(self) -> None:
        """Load them now."""
        from recyclic.core.module_source import discover  # noqa: PLC0415 - kept out of the plugin's import
        from recyclic.errors import RecyclicError  # noqa: PLC0415 - kept out of the plugin's import

        self._loaded = True
        try:
            sources = discover(kit_config(self._config))
        except RecyclicError as error:
            raise pytest.Collector.CollectError(f"recyclic: the modules cannot be found: {error}") from error
        for source in sources.values():
            if (source.path / "testing.py").is_file():
                self._register(source)

    def _register(self, source: ModuleSource) -> None:
        name = f"{source.package}.testing"
        if source.origin == "path" and str(source.path.parent) not in sys.path:
            sys.path.append(str(source.path.parent))
        pytest.register_assert_rewrite(name)
        try:
            module = importlib.import_module(name)
        except Exception as error:
            what = f"{source.path / 'testing.py'}: {type(error).__name__}: {error}"
            raise pytest.Collector.CollectError(
                f"recyclic: the fixtures of {source.id} cannot be loaded: {what}"
            ) from error
        if not self._config.pluginmanager.is_registered(module):
            self._config.pluginmanager.register(module, f"recyclic-module-{source.id}")

    def _conftests(self) -> list[Path]:
        plugins = self._config.pluginmanager.get_plugins()
        files = [Path(file) for plugin in plugins if (file := getattr(plugin, "__file__", None))]
        return [file for file in files if file.name == "conftest.py"]


def _speaks_of_us(file: Path) -> bool:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(word in text for word in _WORDS)
