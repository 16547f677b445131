"""Assembly: which modules a host boots: those named, their neighbours, spies in place of some, and inline classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from recyclic.core.manifest import Manifest, check_manifest
from recyclic.core.module_import import import_class
from recyclic.core.module_loader import LoadedModule, ModuleRegistry
from recyclic.core.module_source import ModuleSource, discover
from recyclic.errors import ModuleError, Problem
from recyclic.testing.doubles import Spy, inline_module, spy_for, unknown_event
from recyclic.testing.matching import closest_name
from recyclic.testing.report import KitError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recyclic.config import Config
    from recyclic.core.events.event import Event
    from recyclic.core.module_base import ModuleBase
    from recyclic.testing.plan import Plan

Deps = Literal["stub", "direct", "all"]


@dataclass(frozen=True)
class Choice:
    """What to boot: ids and classes, how far their dependencies are booted for real, what is replaced by a spy."""

    names: tuple[str, ...] = ()
    classes: tuple[type[ModuleBase], ...] = ()
    deps: Deps = "stub"
    stub: tuple[str, ...] = ()


@dataclass
class _Shelf:
    """What is known of the modules of one configuration; read once per process."""

    sources: dict[str, ModuleSource]
    manifests: dict[str, Manifest] = field(default_factory=dict)

    def manifest(self, module_id: str) -> Manifest:
        if module_id not in self.manifests:
            manifest, problems = check_manifest(self.sources[module_id].manifest_path, module_id)
            if manifest is None or problems:
                raise ModuleError(problems)
            self.manifests[module_id] = manifest
        return self.manifests[module_id]

    def load(self, module_id: str) -> LoadedModule:
        cls, instance, problems = import_class(self.sources[module_id])
        if cls is None or instance is None:
            raise ModuleError(problems)
        return LoadedModule(self.sources[module_id], self.manifest(module_id), cls, instance)


_shelves: dict[tuple[object, ...], _Shelf] = {}


def assemble(choice: Choice, config: Config) -> ModuleRegistry:
    """Return the modules to boot, in their start order: each after what it depends on.

    Raises:
        KitError: a name is no module.
        ModuleError: a manifest or a module's code cannot be used.
    """
    shelf = _shelf(config)
    inline = [inline_module(cls) for cls in choice.classes]
    inline_ids = {module.id for module in inline}
    names = choice.names or (() if inline else config.modules.enabled)
    _check_names(names, shelf)
    real = _with_dependencies([n for n in names if n not in choice.stub], choice, shelf, inline_ids)
    wanted = list(dict.fromkeys([*names, *real, *_neighbours(real, shelf, inline), *choice.stub]))
    wanted = [name for name in wanted if name not in inline_ids]
    modules = {name: shelf.load(name) if name in real else _spy(name, shelf) for name in _sorted(wanted, shelf)}
    modules.update({module.id: module for module in inline})
    for name, emits in _unknown_events(modules, shelf).items():
        modules[name] = spy_for(name, None, emits)
    return ModuleRegistry(modules.values())


def settings_of(plan: Plan, registry: ModuleRegistry) -> dict[str, Mapping[str, Any]]:
    """Return the settings of the modules that are booted for real.

    Raises:
        KitError: there are settings of a module that is not.
    """
    booted = {module.id for module in registry if not isinstance(module.instance, Spy)}
    unknown = [name for name in plan.settings if name not in booted and not plan.spare_settings]
    if unknown:
        raise KitError(f"settings for {unknown[0]!r}: it is not booted{closest_name(unknown[0], sorted(booted))}")
    return {name: table for name, table in plan.settings.items() if name in booted}


def _shelf(config: Config) -> _Shelf:
    key = (config.path, config.modules.path)
    if key not in _shelves:
        _shelves[key] = _Shelf(discover(config))
    return _shelves[key]


def _check_names(names: Sequence[str], shelf: _Shelf) -> None:
    unknown = [name for name in names if name not in shelf.sources]
    if unknown:
        known = sorted(shelf.sources)
        told = "; ".join(f"there is no module {name!r}{closest_name(name, known)}" for name in unknown)
        raise KitError(f"{told}; there are: {', '.join(known) or 'none'}")


def _with_dependencies(names: list[str], choice: Choice, shelf: _Shelf, inline: set[str]) -> set[str]:
    """Return the ids that are booted for real."""
    real = set(names)
    todo = list(names) if choice.deps != "stub" else []
    while todo:
        for needed in shelf.manifest(todo.pop()).dependencies.modules:
            if needed in shelf.sources and needed not in real | set(choice.stub) | inline:
                real.add(needed)
                if choice.deps == "all":
                    todo.append(needed)
    return real


def _neighbours(real: set[str], shelf: _Shelf, inline: Sequence[LoadedModule]) -> list[str]:
    """Return what the booted modules depend on."""
    manifests = [*(shelf.manifest(name) for name in sorted(real)), *(module.manifest for module in inline)]
    return [needed for manifest in manifests for needed in manifest.dependencies.modules]


def _unknown_events(modules: Mapping[str, LoadedModule], shelf: _Shelf) -> dict[str, tuple[type[Event], ...]]:
    """Return, for each neighbour that is not installed, the events that its dependants await and no module declares."""
    missing = {name for name in modules if name not in shelf.sources and isinstance(modules[name].instance, Spy)}
    if not missing:
        return {}
    installed = (check_manifest(source.manifest_path, name)[0] for name, source in shelf.sources.items())
    declared = {event for manifest in installed if manifest for event in manifest.events.emits}
    declared |= {event.name for module in modules.values() for event in module.cls.emits}
    classes: dict[str, type[Event]] = {}
    awaited: dict[str, tuple[type[Event], ...]] = {}
    for module in modules.values():
        events = [event for event in module.manifest.events.consumes if event not in declared]
        for name in missing & set(module.manifest.dependencies.modules):
            known = [classes.setdefault(event, unknown_event(event)) for event in events]
            awaited[name] = tuple(dict.fromkeys([*awaited.get(name, ()), *known]))
    return awaited


def _sorted(names: Sequence[str], shelf: _Shelf) -> list[str]:
    """Return the names, each after what it depends on, otherwise as they came."""
    done: list[str] = []

    def place(name: str, way: tuple[str, ...]) -> None:
        if name in done or name in way:
            return
        if name in shelf.sources:
            for needed in shelf.manifest(name).dependencies.modules:
                if needed in names:
                    place(needed, (*way, name))
        done.append(name)

    for name in names:
        place(name, ())
    return done


def _spy(module_id: str, shelf: _Shelf) -> LoadedModule:
    if module_id not in shelf.sources:
        return spy_for(module_id, None)
    try:
        emits = shelf.load(module_id).cls.emits
    except ModuleError as error:
        what = f"the events of {module_id}, which a spy stands in for, cannot be read"
        raise ModuleError([Problem(what), *error.problems]) from error
    return spy_for(module_id, shelf.manifest(module_id), emits)
