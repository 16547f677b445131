"""ModuleRegistry: the enabled modules, found, checked against each other and imported, in their start order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from recyclic.config import Config
from recyclic.core.manifest import Manifest, check_manifest
from recyclic.core.module_base import ModuleBase
from recyclic.core.module_dependencies import dependency_problems, group_problems, python_problems
from recyclic.core.module_import import import_class
from recyclic.core.module_settings import settings_problems
from recyclic.core.module_source import ModuleSource, discover
from recyclic.errors import ModuleError, Problem
from recyclic.nearest import nearest

__all__ = ["LoadedModule", "ModuleRegistry", "ModuleSource", "discover"]


@dataclass(eq=False)
class LoadedModule:
    """One module ready to start: where it came from, what it declares, its class and the instance that runs."""

    source: ModuleSource
    manifest: Manifest
    cls: type[ModuleBase]
    instance: ModuleBase
    _used: bool = field(default=False, repr=False)

    @classmethod
    def of(cls, module_id: str, module_class: type[ModuleBase], manifest: Manifest) -> LoadedModule:
        """Return a module made of a class alone, as tests and the verifier do."""
        folder = manifest.path.parent
        source = ModuleSource(module_id, module_class.__module__, folder, manifest.path, "path")
        return cls(source, manifest, module_class, module_class())

    @property
    def id(self) -> str:
        """Return the module's id."""
        return self.source.id

    @property
    def versions(self) -> Path:
        """Return the folder of the module's migrations, which need not exist."""
        return self.source.path / "migrations" / "versions"

    def renew(self) -> ModuleBase:
        """Return the instance to start: the first time the one that is there, later a new one."""
        if self._used:
            self.instance = self.cls()
        self._used = True
        return self.instance


class ModuleRegistry:
    """The modules of one host. Iterate over it, or `get` one by id."""

    def __init__(self, modules: Iterable[LoadedModule] = ()) -> None:
        self.modules: tuple[LoadedModule, ...] = tuple(modules)
        self._by_id = {module.id: module for module in self.modules}

    def __iter__(self) -> Iterator[LoadedModule]:
        return iter(self.modules)

    def __len__(self) -> int:
        return len(self.modules)

    def __contains__(self, module_id: object) -> bool:
        return module_id in self._by_id

    def get(self, module_id: str) -> LoadedModule:
        """Return one module.

        Raises:
            ModuleError: it is not enabled.
        """
        try:
            return self._by_id[module_id]
        except KeyError:
            what = f"{module_id} is not enabled"
            raise ModuleError(Problem(what, remedy="add it to [modules] enabled", rule="RCY201")) from None

    @classmethod
    def load(cls, config: Config) -> ModuleRegistry:
        """Find, check and import the enabled modules.

        Manifests are read first, then dependencies and Python requirements are checked, then what has no problem so
        far is imported.

        Raises:
            ModuleError: with everything that is wrong.
        """
        sources = discover(config)
        problems = _unknown_ids(config, sources)
        manifests, broken = _read_manifests(config, sources, problems)
        problems += dependency_problems(manifests, config.modules.enabled)
        problems += group_problems(manifests.values())
        loaded: list[LoadedModule] = []
        for module_id, manifest in manifests.items():
            source = sources[module_id]
            own = [*_outsider_problems(source, manifest), *python_problems(manifest)]
            module_class = None
            if not own and module_id not in broken:
                module_class, instance, own = import_class(source)
            if module_class is not None and instance is not None:
                own += settings_problems(module_id, module_class, config)
                loaded.append(LoadedModule(source, manifest, module_class, instance))
            problems += own
        if problems:
            raise ModuleError(problems)
        return cls(loaded)


def _unknown_ids(config: Config, sources: dict[str, ModuleSource]) -> list[Problem]:
    where = str(config.path or "configuration")
    problems = [
        Problem(f"there is no module {name!r}", f"{where}: [modules] enabled", nearest(name, sources), "RCY201")
        for name in dict.fromkeys(config.modules.enabled)
        if name not in sources
    ]
    return problems + [
        Problem(f"there is no module {name!r}", f"{where}: [modules.{name}]", nearest(name, sources))
        for name in config.module_settings
        if name not in sources and name not in config.modules.enabled
    ]


def _read_manifests(
    config: Config, sources: dict[str, ModuleSource], problems: list[Problem]
) -> tuple[dict[str, Manifest], set[str]]:
    """Return id → manifest of those that can be read, in enabled order, and the ids of the others."""
    manifests: dict[str, Manifest] = {}
    broken: set[str] = set()
    for module_id in dict.fromkeys(config.modules.enabled):
        if module_id not in sources:
            continue
        manifest, wrong = check_manifest(sources[module_id].manifest_path, module_id)
        problems += wrong
        if manifest is None:
            broken.add(module_id)
        else:
            manifests[module_id] = manifest
    return manifests, broken


def _outsider_problems(source: ModuleSource, manifest: Manifest) -> list[Problem]:
    """Say why a module from outside the monorepo cannot have pages."""
    ui = manifest.ui
    declared = {"routes": ui.routes, "slots": ui.slots, "provides": tuple(ui.provides)}
    if source.origin == "monorepo":
        return []
    return [
        Problem(
            f"{source.id} comes from outside the monorepo and declares {key}: pages and slot components are compiled "
            "into the host's one front end build, which knows the modules of recyclic/modules only",
            f"{manifest.path}: [ui] {key}",
            f"remove {key}, or move the module into recyclic/modules/ and its pages into frontend/src/modules/",
            "RCY107" if key == "routes" else "RCY108",
        )
        for key, names in declared.items()
        if names
    ]
