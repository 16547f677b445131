"""The stage: one thread with a loop of its own, on which the hosts under test, their servers and the browser live.

Tests stay without a loop, and so do not mind what runs theirs: sync, pytest-asyncio and anyio tests live in one
process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload
from urllib.parse import urlsplit

from anyio.from_thread import start_blocking_portal

from recyclic.testing.errors import KitError
from recyclic.testing.slots.browser import launch
from recyclic.testing.slots.server import Server

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from anyio.from_thread import BlockingPortal
    from playwright.async_api import Browser, Playwright
    from starlette.types import ASGIApp

T = TypeVar("T")
P = ParamSpec("P")

LONGEST = 90.0
"""Seconds after which a call is given up. Above every time limit of Playwright's, whose own errors say more."""


class StageError(KitError):
    """Raised when the stage does not answer."""


class Stage:
    """One per test process. `start` it before use and `close` it at the end."""

    def __init__(self, *, headed: bool = False, url: str | None = None) -> None:
        self.headed = headed
        self.url = url
        """The front end's address where it is not the host's own: a development server."""
        self._exit = ExitStack()
        self._portal: BlockingPortal | None = None
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._idle: list[Server] = []

    # The sync side: called on a test's thread.

    def start(self) -> None:
        """Start the thread, its loop and the browser."""
        self._portal = self._exit.enter_context(start_blocking_portal("asyncio", name="recyclic-stage"))
        try:
            self.run(self._open_browser)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the browser, the servers, the loop and the thread."""
        if self._portal is None:
            return
        try:
            self.run(self._close_all)
        finally:
            self._portal = None
            self._exit.close()

    @overload
    def run(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call `function` on the stage's loop and return what it returns, awaited where it is a coroutine.

        Raises:
            StageError: the stage is not started, or gives no answer.
        """
        if self._portal is None:
            raise StageError("the stage is not started, or has ended: use it through the ui_host fixture")

        async def call() -> Any:
            result = function(*args, **kwargs)
            return await result if isinstance(result, Awaitable) else result

        future: Future[Any] = self._portal.start_task_soon(call)
        try:
            return future.result(LONGEST)
        except TimeoutError:
            if future.done():
                raise
            future.cancel()
            name = getattr(function, "__qualname__", repr(function))
            raise StageError(f"{name} gave no answer in {LONGEST:g} seconds and was given up") from None
        except BaseException:
            future.cancel()
            raise

    def enter(self, manager: AbstractAsyncContextManager[T]) -> AbstractContextManager[T]:
        """Return `manager` as a sync context manager: both ends run in one task of the stage's loop."""
        if self._portal is None:
            raise StageError("the stage is not started, or has ended: use it through the ui_host fixture")
        return self._portal.wrap_async_context_manager(manager)

    # The async side: called on the stage's loop.

    @property
    def browser(self) -> Browser:
        """The browser."""
        if self._browser is None or not self._browser.is_connected():
            raise StageError("the browser has ended: was it closed by hand, or did the machine run out of memory?")
        return self._browser

    @asynccontextmanager
    async def served(self, app: ASGIApp) -> AsyncIterator[str]:
        """Serve `app` and yield its URL. Servers are kept for the next."""
        server = self._idle.pop() if self._idle else await _started(Server())
        server.app = app
        try:
            yield server.url
        finally:
            server.app = None
            self._idle.append(server)

    async def _open_browser(self) -> None:
        from playwright.async_api import async_playwright  # noqa: PLC0415 - tests without a browser do without it

        self._playwright = await async_playwright().start()
        hosts = ["127.0.0.1", *([urlsplit(self.url).hostname or ""] if self.url else [])]
        self._browser = await launch(self._playwright.chromium, hosts=hosts, headed=self.headed)

    async def _close_all(self) -> None:
        for server in self._idle:
            await server.stop()
        if self._browser is not None:
            await self._browser.close()
        if self._playwright is not None:
            await self._playwright.stop()


async def _started(server: Server) -> Server:
    await server.start()
    return server
