"""What a page does: its requests, its console, its uncaught errors, and whether it has come to rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from recyclic.testing.journal import CAUSE_HEADER

if TYPE_CHECKING:
    from playwright.async_api import ConsoleMessage, Error, Page, Request, Response

_OPEN_BY_NATURE = {"eventsource", "websocket"}

_CALM = """(left_out) => {
  if (!document.querySelector('#root')?.childElementCount) return false;
  const counts = (element) => !left_out.some((id) => element.closest(`[data-slot-ext="${id}"]`));
  const busy = document.querySelectorAll('[data-slot-state="loading"], [data-loading], [aria-busy="true"]');
  return ![...busy].some(counts);
}"""
_TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))"
_BUSY = """() => [...document.querySelectorAll('[data-slot-state="loading"], [data-loading], [aria-busy="true"]')]
  .map((element) => element.closest('[data-slot-ext]')?.dataset.slotExt ?? element.textContent.trim())"""


@dataclass(eq=False)
class Exchange:
    """One request of a page and what became of it."""

    method: str
    url: str
    kind: str
    status: int | None = None
    failure: str | None = None

    @property
    def path(self) -> str:
        """Path and query."""
        parts = urlsplit(self.url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def __str__(self) -> str:
        """Return `GET /api/ui 200`."""
        return f"{self.method} {self.path} {self.failure or self.status or '…'}"


@dataclass
class Traffic:
    """Listens to one page from its start."""

    page: Page
    left_out: tuple[str, ...] = ()
    """Extensions that may stay loading: their chunk was made to hang."""
    hangs: Callable[[str], bool] = lambda _url: False
    """Says of a URL whether it was made to hang."""
    noted: Callable[[str], str] = lambda _text: ""
    """Writes into the journal what is done, and returns the id that the page's requests are to name."""
    exchanges: list[Exchange] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    uncaught: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start listening."""
        self._open: dict[Request, Exchange] = {}
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.page.on("request", self._request)
        self.page.on("response", self._response)
        self.page.on("requestfinished", self._finished)
        self.page.on("requestfailed", self._failed)
        self.page.on("console", self._said)
        self.page.on("pageerror", self._threw)

    @property
    def api(self) -> list[Exchange]:
        """The requests to modules' routes."""
        return [exchange for exchange in self.exchanges if exchange.path.startswith("/api/modules/")]

    @property
    def notable(self) -> list[Exchange]:
        """The requests to the API, and all others that failed."""
        return [
            exchange
            for exchange in self.exchanges
            if exchange.path.startswith("/api/") or exchange.failure or (exchange.status or 0) >= 400
        ]

    @asynccontextmanager
    async def caused_by(self, text: str) -> AsyncIterator[None]:
        """Note what is done inside the block, and let every request of the page inside it name it as its cause."""
        await self.page.set_extra_http_headers({CAUSE_HEADER: self.noted(text)})
        try:
            yield
        finally:
            if not self.page.is_closed():
                await self.page.set_extra_http_headers({})

    async def settled(self, seconds: float) -> None:
        """Return when nothing is being fetched or loaded, in two frames one after the other.

        Raises:
            TimeoutError: the page did not come to rest; the text says what is outstanding.
        """
        try:
            async with asyncio.timeout(seconds):
                calm = False
                while not calm:
                    await self._quiet.wait()
                    before = len(self.exchanges)
                    await self.page.wait_for_function(_CALM, arg=list(self.left_out), timeout=0)
                    await self.page.evaluate(_TWO_FRAMES)
                    calm = self._quiet.is_set() and len(self.exchanges) == before
                    calm = calm and await self.page.evaluate(_CALM, list(self.left_out))
        except TimeoutError:
            outstanding = [str(exchange) for exchange in self._open.values()]
            outstanding += [f"loading: {text}" for text in await self._busy()]
            what = "\n  ".join(outstanding) or "the page draws nothing, or never stops asking for more"
            raise TimeoutError(
                f"the page did not come to rest in {seconds:g} seconds; outstanding:\n  {what}"
            ) from None

    async def _busy(self) -> Iterable[str]:
        return [text for text in await self.page.evaluate(_BUSY) if text not in self.left_out]

    def _request(self, request: Request) -> None:
        exchange = Exchange(request.method, request.url, request.resource_type)
        self.exchanges.append(exchange)
        if request.resource_type not in _OPEN_BY_NATURE and not self.hangs(request.url):
            self._open[request] = exchange
            self._quiet.clear()

    def _response(self, response: Response) -> None:
        if exchange := self._open.get(response.request):
            exchange.status = response.status

    def _finished(self, request: Request) -> None:
        self._close(request)

    def _failed(self, request: Request) -> None:
        if exchange := self._close(request):
            exchange.failure = request.failure or "failed"

    def _close(self, request: Request) -> Exchange | None:
        exchange = self._open.pop(request, None)
        if not self._open:
            self._quiet.set()
        return exchange

    def _said(self, message: ConsoleMessage) -> None:
        self.console.append(f"{message.type}: {message.text}")

    def _threw(self, error: Error) -> None:
        self.uncaught.append(error.stack or str(error))
