"""Doubles: a spy in place of a neighbour, that keeps the neighbour's contract; and manifests for inline modules."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, ValidationError

from recyclic.core.events.contract import mismatches
from recyclic.core.events.event import Event, EventMeta  # handlers' annotations are read at run time
from recyclic.core.manifest import EventsManifest, Manifest, Permissions, UiManifest
from recyclic.core.module_base import ModuleBase
from recyclic.core.module_loader import LoadedModule
from recyclic.core.module_source import ModuleSource
from recyclic.core.permissions import Level, Section
from recyclic.errors import EventError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

    from recyclic.core.events.bus import EventBus
    from recyclic.core.events.contract import Handler

_HUMP = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Received:
    """One event that a spy was handed."""

    event: str
    data: Mapping[str, Any]
    meta: EventMeta


class UnknownEvent(Event):
    """An event of a module that is not installed: its fields are those that its consumers name."""

    model_config = ConfigDict(extra="allow")


def unknown_event(name: str) -> type[UnknownEvent]:
    """Return a class for an event of which only the name is known."""
    words = "".join(word.capitalize() for word in name.split("_"))
    return type(
        words, (UnknownEvent,), {"name": name, "__module__": __name__, "__doc__": "Its module is not installed."}
    )


class Spy(ModuleBase):
    """Stands in for a module: takes every event that it consumes, and emits what it may, when a test says so."""

    manifest: Manifest

    def __init__(self) -> None:
        self.received: list[Received] = []
        self._bus: EventBus | None = None

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Do nothing: a spy needs nothing."""

    async def shutdown(self) -> None:
        """Do nothing: a spy took nothing."""

    def register_signals(self, bus: EventBus) -> None:
        """Take every event that the manifest declares as consumed."""
        self._bus = bus
        for event in self.manifest.events.consumes:
            bus.on(event, self._taker(event))

    async def emit(self, event: str | Event, **payload: Any) -> str:
        """Emit as the module would; refuses what its manifest does not declare."""
        name = event if isinstance(event, str) else event.name
        declared = self.manifest.events.emits
        if self._bus is None or (name not in declared and name not in {cls.name for cls in self.emits}):
            what = f"{self.manifest.id} does not emit {name}"
            raise EventError(Problem(what, str(self.manifest.path), f"it emits: {', '.join(declared) or 'nothing'}"))
        if issubclass(self._bus.emits[name], UnknownEvent):
            self._check_consumers(self._bus, name, payload)
        return await self._bus.emit(event, **payload)

    def _check_consumers(self, bus: EventBus, event: str, payload: Mapping[str, Any]) -> None:
        """Refuse what a consumer cannot take: where the event's class is missing, its consumers are the contract."""
        for subscription in bus._broker.subscriptions:  # noqa: SLF001 - a spy sees what the kit sees
            if subscription.event == event:
                try:
                    subscription.contract.adapter.validator.validate_python(dict(payload))
                except ValidationError as error:
                    where = f"{self.manifest.id} is not installed, and {subscription.module} needs of {event}"
                    raise EventError(mismatches(error, where)) from error

    def _taker(self, event: str) -> Handler:
        async def take(meta: EventMeta, **data: Any) -> None:
            self.received.append(Received(event, data, meta))

        return take


def spy_for(module_id: str, manifest: Manifest | None, emits: tuple[type[Event], ...] = ()) -> LoadedModule:
    """Return a spy in place of a module; without a manifest, of a neighbour that is not installed at all."""
    names = tuple(event.name for event in emits)
    kept = replace(manifest, ui=UiManifest()) if manifest else plain_manifest(module_id, emits=names)
    cls = type(f"{module_id}_spy", (Spy,), {"manifest": kept, "emits": emits})
    folder = Path(__file__).parent
    source = ModuleSource(module_id, cls.__module__, folder, kept.path, "path")
    return LoadedModule(source, kept, cls, cls())


def inline_module(cls: type[ModuleBase]) -> LoadedModule:
    """Return a module that is just a class, with the manifest that the class has or one made from it."""
    module_id = id_of(cls)
    manifest = getattr(cls, "manifest", None)
    if not isinstance(manifest, Manifest):
        emits = tuple(event.name for event in cls.emits)
        manifest = plain_manifest(module_id, cls.__name__, Path(inspect.getfile(cls)).parent / module_id, emits)
    source = ModuleSource(module_id, cls.__module__, manifest.path.parent, manifest.path, "path")
    return LoadedModule(source, manifest, cls, cls())


def id_of(cls: type[ModuleBase]) -> str:
    """Return the id of an inline module: its `id`, or `pricing` for `PricingModule`."""
    given = getattr(cls, "id", None)
    if isinstance(given, str):
        return given
    return _HUMP.sub("_", cls.__name__.removesuffix("Module") or cls.__name__).lower()


def plain_manifest(module_id: str, name: str = "", folder: Path | None = None, emits: tuple[str, ...] = ()) -> Manifest:
    """Return the least that a manifest can say."""
    return Manifest(
        id=module_id,
        name=name or module_id,
        version="0",
        description="made by the test kit",
        permissions=Permissions(Section.CONFIG, Level.WRITE),
        events=EventsManifest(emits=emits, group=module_id),
        path=(folder or Path(module_id)) / "module.toml",
    )
