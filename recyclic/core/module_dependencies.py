"""What modules need of each other and of the Python installation, checked without importing any."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from packaging.requirements import Requirement

from recyclic.core.manifest import Manifest
from recyclic.errors import Problem


def dependency_problems(manifests: Mapping[str, Manifest], enabled: Sequence[str]) -> list[Problem]:
    """Return what is not enabled, enabled too late, or goes round in a circle. Modules are never sorted."""
    problems = []
    cycles = _cycles(manifests)
    circular = {edge for cycle in cycles for edge in pairwise(cycle)}
    position = {module_id: index for index, module_id in reversed(list(enumerate(enabled)))}
    for module_id, manifest in manifests.items():
        for needed in manifest.dependencies.modules:
            what = f"{module_id} needs {needed}"
            if needed not in position:
                problems.append(Problem(what, remedy="add it to [modules] enabled in config.toml", rule="RCY201"))
            elif (module_id, needed) not in circular and position[needed] > position[module_id]:
                problems.append(Problem(what, remedy=f"move {needed} before {module_id}", rule="RCY202"))
    for cycle in cycles:
        what = f"modules need each other in a circle: {' → '.join(cycle)}"
        where = str(manifests[cycle[0]].path) + ": [dependencies] modules"
        problems.append(Problem(what, where, "let one of them do without: events need no dependency", "RCY203"))
    return problems


def _cycles(manifests: Mapping[str, Manifest]) -> list[tuple[str, ...]]:
    """Return circles as the way round that ends where it begins: one for each edge that closes one."""
    cycles: list[tuple[str, ...]] = []
    done: set[str] = set()
    for start in manifests:
        way: list[str] = []
        ahead: list[Iterator[str]] = [iter((start,))]
        while ahead:
            module_id = next(ahead[-1], None)
            if module_id is None:
                ahead.pop()
                done.update(way[-1:])
                del way[-1:]
            elif module_id in way:
                cycles.append((*way[way.index(module_id) :], module_id))
            elif module_id in manifests and module_id not in done:
                way.append(module_id)
                ahead.append(iter(manifests[module_id].dependencies.modules))
    return cycles


def group_problems(manifests: Iterable[Manifest]) -> list[Problem]:
    """Return the consumer groups that two modules claim: they would take each other's events."""
    claimed: dict[str, Manifest] = {}
    problems = []
    for manifest in manifests:
        first = claimed.setdefault(manifest.events.group, manifest)
        if first is not manifest:
            what = f"{manifest.id} and {first.id} have the same consumer group {manifest.events.group!r}"
            where = f"{manifest.path}: [events] group"
            problems.append(Problem(what, where, "give it another: each would get half of the events", "RCY108"))
    return problems


def python_problems(manifest: Manifest) -> list[Problem]:
    """Return the Python requirements of a module that the installation does not meet."""
    where = f"{manifest.path}: [dependencies] python"
    problems = []
    for text in manifest.dependencies.python:
        what = _unmet(Requirement(text), set())
        if what:
            remedy = f"run: pip install '{text}'"
            problems.append(Problem(f"{manifest.id} needs {text}: {what}", where, remedy, "RCY204"))
    return problems


def _unmet(requirement: Requirement, seen: set[str]) -> str:
    """Return what is wrong with `requirement` here, or "": its marker, the version, and what its extras need."""
    if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
        return ""
    try:
        distribution = importlib.metadata.distribution(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{requirement.name} is not installed"
    if not requirement.specifier.contains(distribution.version, prereleases=True):
        return f"{requirement.name} {distribution.version} is installed"
    for extra in sorted(requirement.extras - seen):
        for line in distribution.requires or ():
            needed = Requirement(line)
            if needed.marker and needed.marker.evaluate({"extra": extra}) and not needed.marker.evaluate({"extra": ""}):
                needed.marker = None
                what = _unmet(needed, seen | requirement.extras)
                if what:
                    return f"its extra {extra!r} is not installed: {what}"
    return ""
