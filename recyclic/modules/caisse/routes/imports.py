"""Imports: a notebook comes in, its lines are decided, its sessions closed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from recyclic.core.database import Database, Uow
from recyclic.core.permissions import CurrentUser
from recyclic.modules.caisse.drafts import Decision
from recyclic.modules.caisse.imports import (
    all_imports,
    close_import,
    decide,
    find_import,
    import_notebook,
    read_file,
    sessions_of,
)
from recyclic.modules.caisse.models import NotebookImport
from recyclic.modules.caisse.routes.parameters import CurrentTill, FileBody, LineNumber, PathId
from recyclic.modules.caisse.views import ImportReport, ImportSummary

router = APIRouter()
Filename = Annotated[str, Query(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


@router.post("/import", status_code=201)
async def bring_in(
    request: Request, content: FileBody, till: CurrentTill, user: CurrentUser, filename: Filename = ""
) -> ImportReport:
    """Book a notebook's lines by day and hold those that need a decision."""
    file = await read_file(till, content, filename.strip() or "notebook.csv")
    database: Database = request.app.state.database
    async with database.unit_of_work() as uow:
        return await _report(uow, await import_notebook(uow.session, till, file, user.name))


@router.get("/imports")
async def history(uow: Uow) -> list[ImportSummary]:
    """Return the imports by their figures, the latest first."""
    return [ImportSummary.of(imported) for imported in await all_imports(uow.session)]


@router.get("/imports/{import_id}")
async def show(import_id: PathId, uow: Uow) -> ImportReport:
    """Return one import with its sessions and every line."""
    return await _report(uow, await find_import(uow.session, import_id))


@router.post("/imports/{import_id}/lines/{line}")
async def decide_line(
    import_id: PathId, line: LineNumber, draft: Decision, uow: Uow, till: CurrentTill, user: CurrentUser
) -> ImportReport:
    """Book or discard one line."""
    return await _report(uow, await decide(uow.session, till, import_id, line, draft, user.name))


@router.post("/imports/{import_id}/close")
async def close(import_id: PathId, uow: Uow, till: CurrentTill) -> ImportReport:
    """Close the import's open sessions; each publishes its `sale_closed`."""
    return await _report(uow, await close_import(uow, till, import_id))


async def _report(uow: Uow, imported: NotebookImport) -> ImportReport:
    return ImportReport.with_sessions(imported, await sessions_of(uow.session, imported.id))
