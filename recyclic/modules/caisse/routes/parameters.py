"""What the routes ask for: the till, where a list goes on, the bytes of a file."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query, Request

from recyclic.modules.caisse.till import Till


def current_till(request: Request) -> Till:
    """Return the till that the module set up at its start."""
    till: Till = request.app.state.caisse
    return till


async def body(request: Request) -> bytes:
    """Return the request's body as it came."""
    return await request.body()


CurrentTill = Annotated[Till, Depends(current_till)]
FileBody = Annotated[bytes, Depends(body)]
Limit = Annotated[int, Query(ge=1, le=500)]
Before = Annotated[str | None, Query(max_length=100, pattern=r"^[0-9a-f-]*$")]
PathId = Annotated[str, Path(max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
LineNumber = Annotated[int, Path(ge=1, le=10**9)]
