"""A module's routes: registered one module at a time, and refused where the guard could not see them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute

from recyclic.core.guard import module_prefix
from recyclic.errors import ModuleError, Problem


def register_routes(app: FastAPI, module_id: str, register: Callable[[FastAPI], Any]) -> list[BaseRoute]:
    """Let a module add its routes and return them.

    Raises:
        ModuleError: a route lies outside `/api/modules/<id>/`, or another's was taken away; `app` is as before then.
    """
    before = list(app.router.routes)
    low_before = len(_low_priority(app))
    try:
        result = register(app)
        new = app.router.routes[len(before) :]
        if problems := [*_misuse(app, result, before, low_before), *_outside(new, module_id)]:
            _refuse(problems)
    except BaseException:
        app.router.routes[:] = before
        raise
    app.openapi_schema = None
    return new


def _refuse(problems: Sequence[Problem]) -> NoReturn:
    raise ModuleError(problems)


def _misuse(app: FastAPI, result: Any, before: list[BaseRoute], low_before: int) -> list[Problem]:
    """Return what `register_routes` did beside adding routes."""
    problems = []
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        problems.append(Problem("register_routes is async", remedy="write it as plain `def`"))
    if app.router.routes[: len(before)] != before:
        what = "register_routes changed routes that are not the module's"
        problems.append(Problem(what, remedy="only add routes", rule="RCY501"))
    if len(_low_priority(app)) > low_before:
        what = "a module may not serve a front end of its own"
        problems.append(Problem(what, remedy="pages belong to the one build in frontend/", rule="RCY501"))
    return problems


def remove_routes(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Take a module's routes out again."""
    gone = {id(route) for route in routes}
    app.router.routes[:] = [route for route in app.router.routes if id(route) not in gone]
    app.openapi_schema = None


def check_routes(routes: Sequence[BaseRoute], module_id: str) -> None:
    """Raise ModuleError naming every route that does not lie under the module's prefix."""
    if problems := _outside(routes, module_id):
        _refuse(problems)


def _outside(routes: Sequence[BaseRoute], module_id: str) -> list[Problem]:
    prefix = module_prefix(module_id)
    problems = []
    for context in iter_route_contexts(routes):
        path = context.path
        if path is None:
            what = f"{type(context.original_route).__name__} routes are matched by something else than a path"
            problems.append(Problem(what, module_id, f"add routes under {prefix}", "RCY501"))
        elif path != prefix.rstrip("/") and not path.startswith(prefix):
            what = f"the route {path or '/'} lies outside {prefix}"
            problems.append(Problem(what, module_id, f'give its router prefix="{prefix.rstrip("/")}"', "RCY501"))
    return problems


def _low_priority(app: FastAPI) -> list[Any]:
    """Return what `app.frontend()` and routers with `frontend()` serve, where this FastAPI has them."""
    found = getattr(app.router, "_iter_low_priority_routes", None)
    return list(found()) if found else []
