"""Manifest: what a `module.toml` declares, and the reader that tells everything wrong with one at once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recyclic.core.manifest_checks import TableReader, is_name, is_rule_id, is_ui_route
from recyclic.core.permissions import Level, Section
from recyclic.errors import ManifestError, Problem

MAX_BYTES = 256 * 1024
"""A larger file is not a manifest."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """`[permissions]`: the section that the module's routes belong to, and the level that changing something needs."""

    section: Section
    level: Level


@dataclass(frozen=True, slots=True)
class SlotOffer:
    """`[ui.provides.<slot>]`: a slot on the module's pages; `props` is name → type of the context it hands over."""

    props: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UiManifest:
    """`[ui]`: pages, the slots that are filled, other modules' routes that the pages call, the slots offered."""

    routes: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    api: tuple[str, ...] = ()
    provides: Mapping[str, SlotOffer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventsManifest:
    """`[events]`: what the module publishes and handles, and its consumer group."""

    emits: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """`[dependencies]`: modules that must be enabled before this one, and PEP 508 requirements."""

    modules: tuple[str, ...] = ()
    python: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """A rule of the verifier that does not hold for the module, with the reason."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Checks:
    """`[checks]`: exceptions from the verifier's rules."""

    ignore: tuple[IgnoreRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """One `module.toml`, read and checked."""

    id: str
    name: str
    version: str
    description: str
    permissions: Permissions
    requires_host: str = ""
    ui: UiManifest = UiManifest()
    events: EventsManifest = EventsManifest()
    dependencies: Dependencies = Dependencies()
    checks: Checks = Checks()
    path: Path = Path("module.toml")


def read_manifest(path: Path, module_id: str) -> Manifest:
    """Return the manifest of `module_id` at `path`.

    Raises:
        ManifestError: with every problem of the file.
    """
    manifest, problems = check_manifest(path, module_id)
    if manifest is None or problems:
        raise ManifestError(problems)
    return manifest


def check_manifest(path: Path, module_id: str) -> tuple[Manifest | None, list[Problem]]:
    """Return the manifest, or None where it cannot be used, and every problem of the file."""
    raw, problem = _load(path)
    if raw is None:
        return None, [problem] if problem else []
    reader = TableReader(raw, str(path))
    manifest = _build(reader, path, module_id)
    return (None if reader.problems else manifest), reader.problems


def _load(path: Path) -> tuple[dict[str, Any] | None, Problem | None]:
    data = b""
    try:
        data = _bytes(path)
        return tomllib.loads(data.decode("utf-8-sig")), None
    except FileNotFoundError:
        what, remedy = "there is no module.toml", "write one: see docs/module-contract.md"
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        what, remedy = f"line {line} is not UTF-8 (byte {error.start})", "save the file as UTF-8"
    except RecursionError:
        what, remedy = "values are nested too deep", "a manifest needs three levels"
    except (OSError, ValueError, OverflowError) as error:  # TOMLDecodeError says line and column
        what, remedy = f"the file cannot be read: {error}", "correct it: a manifest is TOML 1.0"
    return None, Problem(what, str(path), remedy, "RCY101")


def _bytes(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise OSError("it is not a file")
    if path.stat().st_size > MAX_BYTES:
        raise OSError(f"it is too big for a manifest: more than {MAX_BYTES // 1024} KiB")
    return path.read_bytes()


def _build(reader: TableReader, path: Path, module_id: str) -> Manifest:
    """Read every key; the problems gather in `reader`, and what is wrong gets a default meanwhile."""
    permissions = reader.table("permissions", required=True)
    ui, events = reader.table("ui"), reader.table("events")
    dependencies, checks = reader.table("dependencies"), reader.table("checks")
    manifest = Manifest(
        id=module_id,
        name=reader.text("name", required=True),
        version=reader.version("version"),
        description=reader.text("description", required=True),
        requires_host=reader.host_requirement("requires_host"),
        permissions=Permissions(
            section=permissions.choice("section", Section, Section.CONFIG),
            level=permissions.choice("level", Level, Level.ADMIN, refused={Level.NONE}),
        ),
        ui=UiManifest(
            routes=ui.names(
                "routes",
                lambda route: is_ui_route(route, module_id),
                rule="RCY107",
                remedy=f"a page's path is /modules/{module_id} or starts with /modules/{module_id}/",
            ),
            slots=ui.names("slots", is_name, rule="RCY108", remedy="slot names are snake_case"),
            api=ui.names("api", is_name, rule="RCY104", remedy="name modules by their ids"),
            provides=_offers(ui.table("provides")),
        ),
        events=EventsManifest(
            emits=events.names("emits", is_name, rule="RCY108", remedy="event names are snake_case"),
            consumes=events.names("consumes", is_name, rule="RCY108", remedy="event names are snake_case"),
            group=events.name("group", module_id),
        ),
        dependencies=Dependencies(
            modules=dependencies.names("modules", is_name, rule="RCY104", remedy="name modules by their ids"),
            python=dependencies.requirements("python"),
        ),
        checks=Checks(ignore=tuple(IgnoreRule(*pair) for pair in checks.ignored("ignore", is_rule_id))),
        path=path,
    )
    for table in (reader, permissions, ui, events, dependencies, checks):
        table.refuse_the_rest()
    return manifest


def _offers(provides: TableReader) -> dict[str, SlotOffer]:
    offers = {}
    for slot in list(provides.raw):
        if not is_name(slot):
            provides.wrong(slot, "this is not a slot name", "slot names are snake_case", "RCY108")
        offer = provides.table(slot)
        offers[slot] = SlotOffer(offer.prop_types("props"))
        offer.refuse_the_rest()
    return offers
