"""The survey: one module read and imported in a process of its own, without a host."""

from __future__ import annotations

import importlib
import inspect
import linecache
import random
import sys
import traceback
from abc import ABC
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from recyclic.core.events.event import Event, is_event_name
from recyclic.core.module_base import ModuleBase
from recyclic.core.module_source import ModuleSource
from recyclic.testing.contract.finding import Place
from recyclic.testing.contract.observed import EventFact, Failure, Flaw, Survey
from recyclic.testing.contract.sources import SourceReader
from recyclic.testing.contract.watch import Watch
from recyclic.testing.payloads import PayloadError, payloads

SAMPLES = 3
_CALLS: dict[str, tuple[bool, tuple[Any, ...]]] = {
    "startup": (True, (FastAPI, {})),
    "shutdown": (True, ()),
    "register_routes": (False, (FastAPI,)),
    "register_signals": (False, (object,)),
    "register_ui_extensions": (False, ()),
}


def survey(source: ModuleSource, watch: Watch) -> Survey:
    """Read the module's sources, import it, look at its class and build it once."""
    reader = SourceReader(source.path, source.package)
    reader.read()
    facts: dict[str, Any] = {
        "unparsable": tuple(reader.unparsable),
        "imports": tuple(reader.imports),
        "emit_calls": tuple(reader.emit_calls),
    }
    try:
        with watch.heeding():
            package = import_package(source)
    except BaseException as error:  # noqa: BLE001 - SystemExit at import is the module's, not ours
        return Survey(**facts, failure=failure_of(error, watch), import_work=tuple(watch.work))
    facts["import_work"] = tuple(watch.work)
    cls = getattr(package, source.attribute, None)
    if flaw := _class_flaw(cls, source.attribute, package.__file__ or ""):
        return Survey(**facts, class_flaw=flaw)
    assert isinstance(cls, type) and issubclass(cls, ModuleBase)  # noqa: PT018 - one fact, for the type checker
    facts["method_flaws"] = tuple(_method_flaws(cls))
    facts["attribute_flaws"] = tuple(_attribute_flaws(cls))
    if not facts["method_flaws"]:
        facts["construction"] = _construction(cls, watch)
    if not facts["attribute_flaws"]:
        facts["emits"] = tuple(_event_fact(event) for event in cls.emits)
    return Survey(**facts)


def import_package(source: ModuleSource) -> ModuleType:
    """Import the module's package as the host does, and make sure that it is the one of its folder.

    Raises:
        ImportError: Python finds another package of the name first.
        BaseException: whatever the module's code raises.
    """
    if source.origin == "path" and str(source.path.parent) not in sys.path:
        sys.path.append(str(source.path.parent))
        importlib.invalidate_caches()
    package = importlib.import_module(source.package)
    file = Path(package.__file__ or "")
    if file.parent.resolve() != source.path.resolve():
        raise ImportError(f"Python finds another package {source.package!r} first, at {file}")
    return package


def failure_of(error: BaseException, watch: Watch) -> Failure:
    """Describe `error` with the module's own lines only: those of libraries and of the host help nobody."""
    lines: list[str] = []
    place = Place()
    if isinstance(error, SyntaxError) and error.filename:
        place = Place(file=error.filename, line=error.lineno)
    trace: TracebackType | None = error.__traceback__
    for frame, lineno in traceback.walk_tb(trace):
        file = frame.f_code.co_filename
        if watch.owns(file):
            place = Place(file=file, line=lineno) if not isinstance(error, SyntaxError) else place
            code = linecache.getline(file, lineno).strip()
            lines.append(f"{Path(file).name}:{lineno} in {frame.f_code.co_name}: {code}")
    name = getattr(error, "name", None) if isinstance(error, ImportError) else None
    text = str(error).strip().partition("\n")[0]
    return Failure(
        error=f"{type(error).__name__}: {text}" if text else type(error).__name__,
        place=place,
        lines=tuple(lines),
        missing=(name or "").partition(".")[0],
    )


def _class_flaw(cls: Any, attribute: str, file: str) -> Flaw | None:
    place = Place(file=file)
    if cls is None:
        return Flaw(what=f"there is no {attribute}", place=place)
    if not isinstance(cls, type):
        return Flaw(what=f"{attribute} is no class but {type(cls).__name__}", place=place)
    if not issubclass(cls, ModuleBase):
        return Flaw(what=f"{attribute} is {cls.__name__}, which is no ModuleBase", place=_place_of(cls))
    if missing := sorted(cls.__abstractmethods__):
        return Flaw(what=f"{cls.__name__} does not implement {', '.join(missing)}", place=_place_of(cls))
    return None


def _method_flaws(cls: type[ModuleBase]) -> list[Flaw]:
    flaws = []
    for name, (wants_async, args) in _CALLS.items():
        method = inspect.getattr_static(cls, name)
        function = getattr(method, "__func__", method)
        place = _place_of(function)
        if not callable(function):
            flaws.append(Flaw(what=f"{name} is no method but {type(function).__name__}", place=_place_of(cls)))
            continue
        if inspect.iscoroutinefunction(function) != wants_async:
            kind = ("async", "sync") if wants_async else ("sync", "async")
            flaws.append(Flaw(what=f"{name} must be {kind[0]} and is {kind[1]}", place=place))
        bound = () if isinstance(method, staticmethod) else (cls,)
        try:
            inspect.signature(function).bind(*bound, *args)
        except (TypeError, ValueError) as error:
            flaws.append(Flaw(what=f"{name} cannot be called as the contract says: {error}", place=place))
    return flaws


def _attribute_flaws(cls: type[ModuleBase]) -> list[Flaw]:
    place = _place_of(cls)
    emits: Any = cls.emits
    settings: Any = cls.settings
    flaws = []
    if not isinstance(emits, tuple):
        flaws.append(Flaw(what=f"emits is no tuple but {type(emits).__name__}", place=place))
    else:
        wrong = [each for each in emits if not (isinstance(each, type) and issubclass(each, Event))]
        flaws += [Flaw(what=f"emits holds {each!r}, which is no Event class", place=place) for each in wrong]
        good = [each for each in emits if each not in wrong]
        flaws += [
            Flaw(what=f"the event {each.name!r} of {each.__name__} is not snake_case", place=_place_of(each))
            for each in good
            if not is_event_name(each.name)
        ]
    if settings is not None and not (isinstance(settings, type) and issubclass(settings, BaseModel)):
        flaws.append(Flaw(what="settings is no Pydantic model", place=place))
    return flaws


def _construction(cls: type[ModuleBase], watch: Watch) -> Failure | None:
    try:
        inspect.signature(cls).bind()
        cls()
    except BaseException as error:  # noqa: BLE001 - whatever it raises is the finding
        failure = failure_of(error, watch)
        init = inspect.getattr_static(cls, "__init__", None)
        return failure if failure.place.file else failure.model_copy(update={"place": _place_of(init or cls)})
    return None


def _event_fact(event: type[Event]) -> EventFact:
    try:
        samples = tuple(payloads(event, random.Random(event.name), SAMPLES))  # noqa: S311 - samples, not secrets
    except PayloadError:
        samples = ()
    return EventFact(
        name=event.name,
        version=event.version,
        json_schema=event.model_json_schema(mode="serialization"),
        payloads=samples,
    )


def _place_of(thing: Any) -> Place:
    if isinstance(thing, type) and thing in {object, ABC, ModuleBase}:
        return Place()
    try:
        file = inspect.getsourcefile(thing) or ""
        return Place(file=file, line=inspect.getsourcelines(thing)[1])
    except (TypeError, OSError):
        return Place()
