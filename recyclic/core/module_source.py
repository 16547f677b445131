"""ModuleSource: where a module lies, and the search through the three places where one may lie."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import recyclic
from recyclic.config import Config
from recyclic.core.manifest_checks import is_name
from recyclic.errors import ModuleError, Problem

GROUP = "recyclic.modules"
"""The entry point group, and the package of the monorepo's modules."""

MANIFEST = "module.toml"
CLASS = "MODULE_CLASS"

Origin = Literal["monorepo", "path", "entry point"]


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """A module that was found: its `id`, the Python `package`, its folder `path` and who named it."""

    id: str
    package: str
    path: Path
    manifest_path: Path
    origin: Origin
    entry_point: str = ""
    attribute: str = CLASS

    @property
    def place(self) -> str:
        """Return where it was found, for an error's text."""
        return f"{self.path} (entry point {self.entry_point!r})" if self.entry_point else str(self.path)


def discover(config: Config) -> dict[str, ModuleSource]:
    """Return id → source of every module there is, enabled or not; folders without a `module.toml` are not modules.

    Raises:
        ModuleError: a place cannot be searched, or an id was found twice; every such problem at once.
    """
    problems: list[Problem] = []
    found: dict[str, ModuleSource] = {}
    for source in _search(config, problems):
        if not is_name(source.id):
            what = f"{source.id!r} cannot be a module's id"
            problems.append(Problem(what, source.place, "ids are snake_case: rename the folder or the entry point"))
        elif source.id in found:
            what = f"two modules have the id {source.id}: {found[source.id].place} and {source.place}"
            problems.append(Problem(what, remedy="rename or remove one of them"))
        else:
            found[source.id] = source
    if problems:
        raise ModuleError(problems)
    return found


def _search(config: Config, problems: list[Problem]) -> Iterator[ModuleSource]:
    home = Path(recyclic.__file__).parent / "modules"
    for folder in _folders(home, problems):
        yield ModuleSource(folder.name, f"{GROUP}.{folder.name}", folder, folder / MANIFEST, "monorepo")
    for place in config.modules.path:
        if (place / MANIFEST).is_file():
            remedy = f"name the folder above it: {place.parent}"
            problems.append(Problem("this is a module, not a folder of modules", f"[modules] path {place}", remedy))
            continue
        for folder in _folders(place, problems):
            yield ModuleSource(folder.name, folder.name, folder, folder / MANIFEST, "path")
    for entry_point in importlib.metadata.entry_points(group=GROUP):
        source = _from_entry_point(entry_point, problems)
        if source:
            yield source


def _folders(place: Path, problems: list[Problem]) -> list[Path]:
    try:
        return sorted(folder for folder in place.iterdir() if (folder / MANIFEST).is_file())
    except OSError as error:
        what = f"this folder cannot be searched for modules: {error.strerror or error}"
        problems.append(Problem(what, f"[modules] path {place}", "correct the path or remove it"))
        return []


def _from_entry_point(entry_point: importlib.metadata.EntryPoint, problems: list[Problem]) -> ModuleSource | None:
    where = f"entry point {entry_point.name!r} = {entry_point.value!r} of {GROUP}"
    try:
        spec = importlib.util.find_spec(entry_point.module)
    except Exception as error:  # noqa: BLE001 - the package's own code runs here
        problems.append(Problem(f"its package cannot be found: {error}", where, "reinstall or uninstall the package"))
        return None
    if spec is None or not spec.submodule_search_locations:
        what = "it does not name an installed package"
        problems.append(Problem(what, where, "let it name the package that holds module.toml"))
        return None
    folder = Path(next(iter(spec.submodule_search_locations)))
    return ModuleSource(
        id=entry_point.name,
        package=entry_point.module,
        path=folder,
        manifest_path=folder / MANIFEST,
        origin="entry point",
        entry_point=entry_point.name,
        attribute=entry_point.attr or CLASS,
    )
