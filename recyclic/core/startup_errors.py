"""StartupErrors: a host that cannot start says why in its own words instead of a traceback."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recyclic.errors import RecyclicError


class StartupErrors:
    """ASGI: replaces the traceback of a RecyclicError in the lifespan by its text; other errors keep theirs."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass requests on; watch over the lifespan."""
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return
        held: Message | None = None

        async def hold_failure(message: Message) -> None:
            nonlocal held
            if message["type"].endswith(".failed"):
                held = message
            else:
                await send(message)

        try:
            await self.app(scope, receive, hold_failure)
        except RecyclicError as error:
            if held is None:
                raise
            await send({**held, "message": "\n".join([str(error), *getattr(error, "__notes__", ())])})
        except BaseException:
            if held is not None:
                await send(held)
            raise
