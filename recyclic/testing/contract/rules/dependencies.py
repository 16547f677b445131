"""RCY2: what a module needs is there, in order, and declared."""

from __future__ import annotations

import functools
import importlib.metadata
import sys
from collections.abc import Iterator

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from recyclic.testing.contract.case import Case
from recyclic.testing.contract.finding import Breach, Place
from recyclic.testing.contract.rule import Check, Evidence, rule

_HOST = "recyclic"


def _as_the_host_says(rule_id: str) -> Check:
    def check(case: Case) -> Iterator[Breach]:
        manifest = case.manifest
        for breach in case.problems_of(rule_id):
            place = breach.place if breach.place.file else Place(file=str(manifest.path), key="[dependencies] modules")
            yield Breach(breach.what, place, breach.remedy)

    return check


for _id, _name, _why, _remedy in (
    (
        "RCY201",
        "a module that it needs is not enabled",
        "The host refuses to start: what the module builds on is not there.",
        "Add the needed module to [modules] enabled in config.toml, before this one.",
    ),
    (
        "RCY202",
        "a module that it needs starts later",
        "[modules] enabled is the start order; nothing sorts it behind your back.",
        "Move the needed module before this one in [modules] enabled.",
    ),
    (
        "RCY203",
        "modules need each other in a circle",
        "None of them can start first.",
        "Let one do without: events need no dependency.",
    ),
    (
        "RCY204",
        "a Python requirement is missing or of another version",
        "The module would fail where it imports or calls it, perhaps long after the start.",
        "Install what the message names, or correct [dependencies] python.",
    ),
):
    rule(_id, _name, why=_why, remedy=_remedy, needs=Evidence.MANIFEST)(_as_the_host_says(_id))


@rule(
    "RCY205",
    "another module's code is imported",
    why="Modules talk by events and HTTP. An import ties together what must start, be tested and be replaced alone.",
    remedy="Name the payload's fields in the handler's signature instead of importing the event, or call its API.",
    needs=Evidence.SURVEY,
)
def no_other_module_is_imported(case: Case) -> Iterator[Breach]:
    """Yield each import of another module's package."""
    others = {other.source.package: other.id for other in case.world.values() if other.id != case.id}
    own = case.source.package
    for each in case.survey.imports:
        name = each.name
        if name == own or name.startswith(own + "."):
            continue
        for package, module_id in others.items():
            if name == package or name.startswith(package + "."):
                yield Breach(f"{name} is code of the module {module_id}", each.place)
                break
        else:
            if name.startswith("recyclic.modules."):
                yield Breach(f"{name} is code of another module", each.place)


@rule(
    "RCY206",
    "a third-party package is imported and not declared",
    why="It is there by chance: where the module is installed elsewhere, the import fails.",
    remedy="Add the package to [dependencies] python in module.toml.",
    needs=Evidence.SURVEY,
)
def imports_are_declared(case: Case) -> Iterator[Breach]:
    """Yield each third-party package that neither the module nor the host requires, at its first import."""
    declared = {canonicalize_name(Requirement(text).name) for text in case.manifest.dependencies.python}
    allowed = _closure(frozenset({canonicalize_name(_HOST)})) | declared
    modules = {other.source.package.partition(".")[0] for other in case.world.values()} | {_HOST}
    distributions = importlib.metadata.packages_distributions()
    told: set[str] = set()
    for each in case.survey.imports:
        top = each.name.partition(".")[0]
        if each.optional or each.test_only or top in told or top in modules or top in sys.stdlib_module_names:
            continue
        owners = {canonicalize_name(owner) for owner in distributions.get(top, ())}
        if owners & allowed or (not owners and canonicalize_name(top) in allowed):
            continue
        told.add(top)
        wanted = ", ".join(sorted(owners)) or top
        yield Breach(f"{top} is imported and {wanted} is not declared", each.place)


@functools.cache
def _closure(names: frozenset[str]) -> frozenset[str]:
    """Return what is installed wherever `names` are: their requirements, and those of these."""
    seen: set[tuple[str, str]] = set()
    todo = [(name, "") for name in names]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            lines = importlib.metadata.requires(name) or ()
        except importlib.metadata.PackageNotFoundError:
            continue
        for requirement in map(Requirement, lines):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                needed = str(canonicalize_name(requirement.name))
                todo += [(needed, ""), *((needed, each) for each in requirement.extras)]
    return frozenset(name for name, _ in seen)
