"""Importing a module's package and building its class, with errors that point into the module's own files."""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from pathlib import Path
from typing import Any

from recyclic.core.module_base import ModuleBase
from recyclic.core.module_source import ModuleSource
from recyclic.errors import Problem


def import_class(source: ModuleSource) -> tuple[type[ModuleBase] | None, ModuleBase | None, list[Problem]]:
    """Return the module's class and an instance, or the problems that kept it from being imported or built."""
    if source.origin == "path" and str(source.path.parent) not in sys.path:
        sys.path.append(str(source.path.parent))  # last: it must not hide anything that is installed
        importlib.invalidate_caches()
    try:
        package = importlib.import_module(source.package)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a module's code may raise anything
        return None, None, [_failed(f"{source.id} cannot be imported", error, source, "RCY301")]
    file = Path(getattr(package, "__file__", None) or "")
    if file == Path():
        what = f"{source.id} cannot be imported: it has no __init__.py"
        return None, None, [Problem(what, str(source.path), f"write one with {source.attribute}", "RCY301")]
    if file.parent.resolve() != source.path.resolve():
        what = f"{source.id} cannot be imported: Python finds another package {source.package!r} first, at {file}"
        return None, None, [Problem(what, str(source.path), "rename the module's folder", "RCY301")]
    return _build(getattr(package, source.attribute, None), source)


def _build(found: Any, source: ModuleSource) -> tuple[type[ModuleBase] | None, ModuleBase | None, list[Problem]]:
    where = f"{source.path / '__init__.py'}: {source.attribute}"
    remedy = f"write {source.attribute} = {_camel(source.id)}Module, a class derived from recyclic.ModuleBase"
    if found is None:
        return None, None, [Problem(f"{source.id} has no {source.attribute}", where, remedy, "RCY302")]
    if not (isinstance(found, type) and issubclass(found, ModuleBase)):
        what = f"{source.id}'s {source.attribute} is {type(found).__name__} {found!r:.80}, not a ModuleBase class"
        return None, None, [Problem(what, where, remedy, "RCY302")]
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        what = f"{found.__name__} does not implement {missing}"
        return None, None, [Problem(what, where, "implement it", "RCY302")]
    try:
        return found, found(), []
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a module's code may raise anything
        return None, None, [_failed(f"{found.__name__}() cannot be built", error, source, "RCY302")]


def _failed(what: str, error: BaseException, source: ModuleSource, rule: str) -> Problem:
    """Return the problem with the last line of the module's own that led to it."""
    where = str(source.path)
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}"
    else:
        for frame in traceback.extract_tb(error.__traceback__):
            if Path(frame.filename).is_relative_to(source.path):
                where = f"{frame.filename}:{frame.lineno}"
    text = " ".join(str(error).split()) or "no text"
    return Problem(f"{what}: {type(error).__name__}: {text}", where, "correct the module's code", rule)


def _camel(module_id: str) -> str:
    return "".join(word.capitalize() for word in module_id.split("_"))
