"""Categories: the tree, and its import from a sheet."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from recyclic.core.database import Uow
from recyclic.core.http import ApiError
from recyclic.modules.caisse.categories import all_categories, count, import_categories
from recyclic.modules.caisse.routes.parameters import FileBody
from recyclic.modules.caisse.sheet import SheetError
from recyclic.modules.caisse.views import CategoryLineView, CategoryReport, CategoryView

router = APIRouter(prefix="/categories")


@router.get("")
async def list_categories(uow: Uow) -> list[CategoryView]:
    """Return the whole tree; `parent_id` says whose child a category is."""
    return [CategoryView.of(category) for category in await all_categories(uow.session)]


@router.post("/import")
async def import_sheet(content: FileBody, uow: Uow) -> CategoryReport:
    """Bring the tree to what a CSV sheet says and report on every line."""
    try:
        lines = await import_categories(uow.session, content)
    except SheetError as error:
        raise ApiError(422, error.code, str(error), error.fields) from error
    views = [CategoryLineView.model_validate(asdict(line)) for line in lines]
    return CategoryReport(rows=len(views), lines=views, **count(lines))
