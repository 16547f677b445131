"""The routes of barcodes: `/api/modules/barcodes`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from recyclic.core.database import Uow
from recyclic.core.http import ApiError
from recyclic.modules.barcodes.ean13 import InvalidCodeError, read_code
from recyclic.modules.barcodes.labels import Labels, item_of
from recyclic.modules.barcodes.models import Label
from recyclic.modules.barcodes.schemas import LabelOut, LabelPage, NewLabel
from recyclic.modules.barcodes.sheet import PER_SHEET, sheet_pdf
from recyclic.modules.barcodes.svg import label_svg

_MOST_PRINTED = 480  # twenty sheets


def label_routes(prefix: Callable[[], int]) -> APIRouter:
    """Return the routes; `prefix` is asked for at each request, for the settings come after the routes."""
    router = APIRouter(prefix="/api/modules/barcodes", tags=["barcodes"])

    @router.post("/labels", status_code=201)
    async def create(request: Request, uow: Uow, new: NewLabel) -> LabelOut:
        """Make a label with a code of its own."""
        now = datetime.fromtimestamp(request.app.state.clock.now(), UTC)
        return LabelOut.model_validate(await Labels(uow.session).add(new, prefix(), now))

    @router.get("/labels")
    async def newest(
        uow: Uow,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        before: Annotated[str | None, Query(max_length=40, description="The `next` of the page before.")] = None,
    ) -> LabelPage:
        """List labels, newest first."""
        seen = None if before is None else (await _label(uow, before)).code
        labels, more = await Labels(uow.session).newest(limit, seen)
        items = [LabelOut.model_validate(label) for label in labels]
        return LabelPage(items=items, next=items[-1].code if more else None)

    @router.get("/labels/sheet.pdf", response_class=Response, responses={200: {"content": {"application/pdf": {}}}})
    async def sheet(
        uow: Uow,
        ids: Annotated[list[str], Query(description="Label ids in printing order, repeated or with commas.")],
        first: Annotated[int, Query(ge=1, le=PER_SHEET, description="The place of the first label on its sheet.")] = 1,
    ) -> Response:
        """Print labels on A4 sheets of 24."""
        wanted = [part for chunk in ids for part in (piece.strip() for piece in chunk.split(",")) if part]
        if not 0 < len(wanted) <= _MOST_PRINTED:
            text = f"A print has between 1 and {_MOST_PRINTED} labels, this one {len(wanted)}."
            raise ApiError(422, "wrong_number_of_labels", text, [("ids", text)])
        found = await Labels(uow.session).by_ids(wanted)
        if unknown := sorted(set(wanted) - found.keys()):
            raise ApiError(404, "unknown_label", f"No such labels: {', '.join(unknown)}", details={"ids": unknown})
        items = [item_of(found[label_id]) for label_id in wanted]
        pdf = await asyncio.to_thread(sheet_pdf, items, first)
        return Response(
            pdf,
            media_type="application/pdf",
            headers={"Content-Disposition": 'inline; filename="etiquettes.pdf"'},
        )

    @router.get("/labels/{code}.svg", response_class=Response, responses={200: {"content": {"image/svg+xml": {}}}})
    async def svg(uow: Uow, code: str) -> Response:
        """Draw one label."""
        return Response(label_svg(item_of(await _label(uow, code))), media_type="image/svg+xml")

    @router.get("/labels/{code}")
    async def get(uow: Uow, code: str) -> LabelOut:
        """Find the label that was scanned."""
        return LabelOut.model_validate(await _label(uow, code))

    return router


async def _label(uow: Uow, scanned: str) -> Label:
    try:
        code = read_code(scanned)
    except InvalidCodeError as error:
        raise ApiError(422, "invalid_code", str(error), [("code", str(error))]) from error
    label = await Labels(uow.session).by_code(code)
    if label is None:
        raise ApiError(404, "unknown_code", f"There is no label with the code {code}.")
    return label
