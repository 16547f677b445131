"""UiHost: a booted host with its real front end, drawn in a real browser, from a sync test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

import httpx

from recyclic.core.auth import COOKIE
from recyclic.testing.errors import KitError, StrictError
from recyclic.testing.matching import closest_name
from recyclic.testing.slots.build import Build
from recyclic.testing.slots.faults import ChunkFault, plan
from recyclic.testing.slots.stage import Stage
from recyclic.testing.slots.sync_client import SyncClient
from recyclic.testing.slots.traffic import Traffic
from recyclic.testing.slots.view import PATIENCE, MountedSlot, Slot

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page, Route
    from starlette.types import ASGIApp, Receive, Scope, Send

    from recyclic.testing.faults import Fault
    from recyclic.testing.host import ModuleHost
    from recyclic.testing.trace import Trace

S = TypeVar("S", bound=Slot)
T = TypeVar("T")
P = ParamSpec("P")
Who = Literal["administrator", "anonymous"] | Mapping[str, str]

VIEWPORT = (1280, 800)
_LANGUAGES = {"fr": "fr-FR", "en": "en-GB"}
SHELL_SLOTS: dict[str, dict[str, str]] = {"settings_menu": {}}
"""The slots that the shell itself offers, with their props."""

_REMEMBER = "try { localStorage.setItem('recyclic.locale', %s) } catch { /* about:blank has none */ }"
_MOUNT = """(story) => new Promise((resolve, reject) => {
  window.mount(story).then(resolve, reject);
  const drawn = () =>
    document.querySelectorAll('[data-sentinel]').length === 2 ? resolve() : requestAnimationFrame(drawn);
  drawn();
})"""


@dataclass(frozen=True, slots=True)
class Stance:
    """How a page is opened."""

    title: str
    locale: str
    user: Who
    viewport: tuple[int, int]
    expect_errors: bool


@dataclass(slots=True)
class Opened:
    """A page that was opened during a test, with all that is kept of it."""

    stance: Stance
    page: Page
    context: BrowserContext
    traffic: Traffic
    tracing: bool

    async def stop_trace(self, file: Path) -> None:
        """End Playwright's trace and write it to `file`, where one is kept."""
        if self.tracing:
            self.tracing = False
            await self.context.tracing.stop(path=file)


class UiHost:
    """A host and its pages. Everything of it lives on the stage; its methods wait, and may be called from any test.

    `build` is the front end that the host serves; None: `stage.url`, a development server, serves another.
    """

    def __init__(self, host: ModuleHost, stage: Stage, build: Build | None, url: str, *, trace: bool) -> None:
        self.host = host
        """The kit's `ModuleHost`. It lives on the stage's loop: reach it with `run`."""
        self.url = stage.url or url
        self.build = build
        self._served_at = url
        self.opened: list[Opened] = []
        self._stage = stage
        self._trace = trace

    # Drawing.

    def render(
        self,
        slot: str,
        /,
        *,
        locale: str = "fr",
        user: Who = "administrator",
        viewport: tuple[int, int] = VIEWPORT,
        fault: Mapping[str, str] | None = None,
        expect_errors: bool = False,
        **context: Any,
    ) -> MountedSlot:
        """Draw one slot alone, with the real build and the real API, and return it when it has come to rest.

        `context` is what the slot hands to its extensions. `user` is "administrator", "anonymous", or the levels of
        someone: `{"accounting": "read"}`. `fault` breaks extensions: `{"paheko/SaleDetailsPanel": "throw"}`.

        Raises:
            KitError: no booted module offers the slot, the context is not what it hands over, or a fault is unknown.
        """
        self._check_slot(slot, context)
        faults = plan(fault or {}, self.build)
        story = {"slot": slot, "context": context, "locale": locale, "preload": not faults}

        async def show(page: Page) -> None:
            await _go(page, f"{self.url}/{'__slots__' if self.build else 'slots.html'}")
            await page.wait_for_function("() => !!window.mount")
            try:
                async with asyncio.timeout(PATIENCE):
                    await page.evaluate(_MOUNT, story)
            except TimeoutError:
                raise TimeoutError(f"the gallery has not drawn {slot} in {PATIENCE:g} seconds") from None

        stance = Stance(f"{slot} ({locale})", locale, user, viewport, expect_errors)
        return self._present(MountedSlot, stance, faults, show)

    def open(
        self,
        path: str,
        /,
        *,
        locale: str = "fr",
        user: Who = "administrator",
        viewport: tuple[int, int] = VIEWPORT,
        fault: Mapping[str, str] | None = None,
        expect_errors: bool = False,
    ) -> Slot:
        """Open a page of the application, `/modules/caisse`, and return it when it has come to rest."""
        if not path.startswith("/"):
            raise KitError(f"open({path!r}): a path begins with a slash")
        faults = plan(fault or {}, self.build)

        async def show(page: Page) -> None:
            await _go(page, f"{self.url}{path}")

        stance = Stance(f"{path} ({locale})", locale, user, viewport, expect_errors)
        return self._present(Slot, stance, faults, show)

    def _present(
        self, kind: type[S], stance: Stance, faults: list[ChunkFault], show: Callable[[Page], Awaitable[None]]
    ) -> S:
        __tracebackhide__ = True
        opened = self._stage.run(self._open, stance, faults)
        view = kind(self._stage, opened.page, opened.traffic, stance.title)
        view.come_up(show)
        return view

    # Watching and asking.

    @contextmanager
    def act(self, name: str | None = None, *active: Fault, expect_errors: bool = False) -> Iterator[Trace]:
        """Record what happens on the bus inside the block; at its end, wait for the pages and the system to settle.

        The same as `module_host.act`.
        """
        __tracebackhide__ = True
        with self._stage.enter(self._settled_act(name, active, expect_errors=expect_errors)) as trace:
            yield trace

    @overload
    def run(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return what `function` returns, called and awaited on the stage's loop, where the host lives."""
        return self._stage.run(function, *args, **kwargs)

    @property
    def http(self) -> SyncClient:
        """An HTTP client of the administrator."""
        return SyncClient(self._stage, self.host.http)

    @property
    def anonymous(self) -> SyncClient:
        """An HTTP client of nobody."""
        return SyncClient(self._stage, self.host.anonymous)

    def as_user(self, **levels: str) -> SyncClient:
        """Return an HTTP client of someone with these levels: `as_user(accounting="read")`."""
        return SyncClient(self._stage, self.host.as_user(**levels))

    # The async side.

    async def _open(self, stance: Stance, faults: list[ChunkFault]) -> Opened:
        width, height = stance.viewport
        context = await self._stage.browser.new_context(
            viewport={"width": width, "height": height},
            locale=_LANGUAGES.get(stance.locale, stance.locale),
            timezone_id="Europe/Paris",
            reduced_motion="reduce",
            service_workers="block",
        )
        context.set_default_timeout(PATIENCE * 1000)
        if self._trace:
            await context.tracing.start(title=stance.title, screenshots=True, snapshots=True)
        await context.add_init_script(_REMEMBER % json.dumps(stance.locale))
        if self.build is None:
            await context.route(f"{self.url}/api/**", self._to_host)
        await self._sign_in(context, stance.user)
        for fault in faults:
            await fault.install(context)
        page = await context.new_page()
        hanging = [fault for fault in faults if fault.hangs]
        traffic = Traffic(
            page,
            left_out=tuple(fault.extension for fault in hanging),
            hangs=lambda url: any(fault.concerns(url) for fault in hanging),
            noted=self.host.journal.click,
        )
        opened = Opened(stance, page, context, traffic, self._trace)
        self.opened.append(opened)
        return opened

    async def _to_host(self, route: Route) -> None:
        """Answer a page of the development server with the host's API."""
        request = route.request
        headers = {**await request.all_headers(), "origin": self._served_at}
        response = await route.fetch(url=request.url.replace(self.url, self._served_at, 1), headers=headers)
        await route.fulfill(response=response)

    async def _sign_in(self, context: BrowserContext, user: Who) -> None:
        if user == "anonymous":
            return
        client = self.host.http if user == "administrator" else self.host.as_user(**dict(user))
        assert client.auth is not None
        flow = client.auth.async_auth_flow(httpx.Request("GET", self.url))
        cookie = (await anext(flow)).headers["cookie"]
        await flow.aclose()
        await context.add_cookies([{"name": COOKIE, "value": cookie.removeprefix(f"{COOKIE}="), "url": self.url}])

    @asynccontextmanager
    async def _settled_act(
        self, name: str | None, active: Sequence[Fault], *, expect_errors: bool
    ) -> AsyncIterator[Trace]:
        __tracebackhide__ = True
        async with self.host.act(name, *active, expect_errors=expect_errors) as trace:
            yield trace
            for opened in self.opened:
                if not opened.page.is_closed():
                    await opened.traffic.settled(PATIENCE)

    def _check_slot(self, slot: str, context: Mapping[str, Any]) -> None:
        offers = {name: dict(props) for name, props in SHELL_SLOTS.items()}
        for module in self.host.app.state.registry:
            offers.update({name: dict(offer.props) for name, offer in module.manifest.ui.provides.items()})
        if slot not in offers:
            near = closest_name(slot, list(offers))
            raise KitError(f"no booted module offers the slot {slot!r}{near}; there are: {', '.join(sorted(offers))}")
        props = offers[slot]
        wrong = [f"{name} is missing" for name in props if name not in context]
        wrong += [f"it hands over no {name}" for name in context if name not in props]
        if wrong:
            told = ", ".join(f"{name}: {kind}" for name, kind in props.items()) or "nothing"
            raise KitError(f"the slot {slot} hands over {told}; {', '.join(wrong)}")

    async def close(self) -> None:
        """Close every page."""
        for opened in self.opened:
            await opened.context.close()

    def check(self) -> None:
        """Fail for what nobody asked for.

        Raises:
            StrictError: something in a page threw, and nothing caught it.
        """
        thrown = [
            f"{opened.stance.title}: {error}"
            for opened in self.opened
            if not opened.stance.expect_errors
            for error in opened.traffic.uncaught
        ]
        if thrown:
            remedy = "If this is on purpose, open the page with expect_errors=True."
            raise StrictError("\n".join(["uncaught errors in the browser:", *thrown, remedy]))


def front_door(host: ModuleHost) -> ASGIApp:
    """Return what the browser speaks to: requests to the API are watched by the kit, files of the build are not."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        watched = scope["path"].startswith("/api/")
        await (host.door if watched else host.app)(scope, receive, send)

    return answer


@asynccontextmanager
async def ui_host_on(
    stage: Stage,
    host: ModuleHost,
    build: Build | None,
    *,
    trace: bool,
    failed: Callable[[], bool] = lambda: False,
) -> AsyncIterator[UiHost]:
    """Serve a booted host and yield its `UiHost`, on the stage's loop; at the end its pages are closed.

    Raises:
        StrictError: at the end, something in a page had thrown and nothing caught it, unless `failed` says that the
            test has failed.
    """
    async with stage.served(front_door(host)) as url:
        ui = UiHost(host, stage, build, url, trace=trace)
        try:
            yield ui
        finally:
            await ui.close()
    if not failed():
        ui.check()


async def _go(page: Page, url: str) -> None:
    response = await page.goto(url)
    if response is not None and response.status >= 400:
        raise AssertionError(f"{url} answers {response.status}: {(await response.text())[:500]}")
