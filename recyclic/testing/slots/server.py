"""A web server on a free port, whose application can be exchanged: one is used by many tests in turn."""

from __future__ import annotations

import socket

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class Server:
    """uvicorn on a port of the loopback that the system chose; `app` answers, nobody while it is None."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            self._answer,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)

    async def start(self) -> None:
        """Listen. uvicorn's own main loop is not run: it would take signals, and a tenth of a second to end."""
        await self._server.startup(sockets=[self._socket])

    async def stop(self) -> None:
        """Close the port and every connection."""
        await self._server.shutdown(sockets=[self._socket])

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.app is not None:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse("No host is booted here.", status_code=503)(scope, receive, send)
