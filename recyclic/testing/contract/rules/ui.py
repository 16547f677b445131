"""RCY7: what a module adds to pages has a slot to go to, and a component that is there and loads by itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recyclic.testing.contract.case import Case, NotObservedError
from recyclic.testing.contract.finding import Breach, Place
from recyclic.testing.contract.rule import Evidence, rule

SHELL_SLOTS = frozenset({"settings_menu"})
"""Slots that the shell itself offers."""


@rule(
    "RCY701",
    "a slot is filled that nobody offers",
    why="The component would never be shown: no page of an enabled module has such a slot.",
    remedy="Correct the slot's name, or enable the module that offers it ([ui.provides.<slot>]).",
    needs=Evidence.MANIFEST,
)
def slots_are_offered(case: Case) -> Iterator[Breach]:
    """Yield filled slots that no enabled module and not the shell offers."""
    offered = SHELL_SLOTS.union(*(other.parsed.ui.provides for other in case.world.values() if other.parsed))
    for slot in case.manifest.ui.slots:
        if slot not in offered:
            known = ", ".join(sorted(offered))
            what = f"no enabled module offers the slot {slot}"
            yield Breach(what, Place(file=str(case.manifest.path), key="[ui] slots"), f"There are: {known}.")


@rule(
    "RCY702",
    "the manifest's slots are not those of register_ui_extensions",
    why="The manifest tells who fills which slot without running anything; the host serves what the code says.",
    remedy="Make [ui] slots of module.toml and the keys of register_ui_extensions() the same.",
    needs=Evidence.EXERCISE,
)
def slots_are_declared(case: Case) -> Iterator[Breach]:
    """Yield slots that stand in only one of manifest and code, and a result of another shape."""
    wiring = case.wiring
    place = Place(file=str(case.manifest.path), key="[ui] slots")
    if wiring.extension_flaw:
        yield Breach(f"register_ui_extensions cannot be used: {wiring.extension_flaw}", place)
    if wiring.extensions is None:
        return
    declared = set(case.manifest.ui.slots)
    for slot in sorted(wiring.extensions.keys() - declared):
        yield Breach(f"register_ui_extensions fills {slot}, which the manifest does not declare", place)
    for slot in sorted(declared - wiring.extensions.keys()):
        yield Breach(f"the manifest declares {slot}, which register_ui_extensions does not fill", place)


def components(case: Case) -> list[str]:
    """Return the names of all components that the module adds to slots, each once."""
    return list(dict.fromkeys(name for names in (case.wiring.extensions or {}).values() for name in names))


def ui_map(frontend: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return the build's list of components, or None where nothing was built."""
    for file in (frontend / "dist" / "ui-map.json", frontend / "ui-map.json"):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict):
            return file, content
    return None


def _frontend(case: Case) -> Path:
    if case.frontend is None:
        raise NotObservedError("there is no front end here")
    return case.frontend


@rule(
    "RCY703",
    "a component is not in the build",
    why="The page asks for a component that it does not have, and shows an error in its place.",
    remedy="Write frontend/src/modules/<id>/slots/<Component>.tsx with a default export, then run npm run build.",
    needs=Evidence.EXERCISE,
)
def components_are_built(case: Case) -> Iterator[Breach]:
    """Yield components that the build does not have or, without a build, that have no file."""
    names = components(case)
    if not names:
        return
    frontend = _frontend(case)
    built = ui_map(frontend)
    for name in names:
        source = frontend / "src" / "modules" / case.id / "slots" / f"{name}.tsx"
        if built is None:
            if not source.is_file():
                yield Breach(f"the component {name} has no file", Place(file=str(source)))
        elif f"{case.id}/{name}" not in built[1]:
            hint = "; its file is there: build again" if source.is_file() else ""
            yield Breach(f"the build has no {case.id}/{name}{hint}", Place(file=str(built[0])))
        elif "default" not in _exports(built[1][f"{case.id}/{name}"]):
            yield Breach(f"the component {name} has no default export", Place(file=str(source)))


def _exports(entry: Any) -> Any:
    return entry.get("exports", ["default"]) if isinstance(entry, dict) else ["default"]


@rule(
    "RCY704",
    "a component is not loaded lazily",
    why="It would be in the first load of every page, also of users who never see it, and break with it.",
    remedy="Import it from nowhere: the build finds files in slots/ by itself, and loads each when its slot is shown.",
    needs=Evidence.EXERCISE,
)
def components_are_lazy(case: Case) -> Iterator[Breach]:
    """Yield components that are part of another chunk or, without a build, that some file imports statically."""
    names = components(case)
    if not names:
        return
    frontend = _frontend(case)
    built = ui_map(frontend)
    for name in names:
        if built is not None:
            entry = built[1].get(f"{case.id}/{name}")
            if isinstance(entry, dict) and entry.get("lazy") is False:
                yield Breach(f"{case.id}/{name} is not in a chunk of its own", Place(file=str(built[0])))
        else:
            for file, line in _static_imports(frontend / "src", name):
                yield Breach(f"the component {name} is imported statically", Place(file=str(file), line=line))


def _static_imports(root: Path, name: str) -> Iterator[tuple[Path, int]]:
    """Yield where a file imports `…/slots/<name>` by a plain import."""
    pattern = re.compile(
        rf"""^\s*(?:import|export)\b[^\n]*?['"][^'"\n]*slots/{re.escape(name)}(?:\.tsx)?['"]""", re.MULTILINE
    )
    for file in sorted([*root.rglob("*.ts"), *root.rglob("*.tsx")]):
        if ".test." in file.name:
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        for match in pattern.finditer(text):
            if "import(" not in match.group():
                yield file, text.count("\n", 0, match.start()) + 1
