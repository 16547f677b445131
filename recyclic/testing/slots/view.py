"""What a test sees of a page: it looks, clicks and fills, and fails with what is really there."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, cast, overload

from recyclic.testing.errors import KitError
from recyclic.testing.slots.stage import Stage
from recyclic.testing.slots.traffic import Exchange, Traffic

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

T = TypeVar("T")
State = Literal["loading", "ready", "error"]

PATIENCE = 10.0
"""Seconds that Playwright waits for what a test asks for, and that a page gets to come to rest."""

_SHOWN_REQUESTS = 12


class ViewError(AssertionError):
    """Raised when a page does not show, or does not let be done, what a test asks for. Says what is there instead."""


class View:
    """A page, or a part of one. Methods that look return the view itself, so that they can be chained.

    `role` and `name` are those of the accessibility tree; `name` and `text` match parts of a text, in any case, or are
    regular expressions; `exact=True` asks for the whole text.
    """

    def __init__(self, stage: Stage, page: Page, traffic: Traffic, title: str) -> None:
        self._stage = stage
        self._page = page
        self._traffic = traffic
        self.title = title

    def __repr__(self) -> str:
        """Return the title."""
        return f"<{type(self).__name__} {self.title}>"

    # Looking.

    def shows(
        self,
        *,
        role: str | None = None,
        name: str | re.Pattern[str] | None = None,
        text: str | re.Pattern[str] | None = None,
        exact: bool = False,
    ) -> Self:
        """Wait until the element is there to be seen; fail if it does not come."""
        __tracebackhide__ = True
        wanted = _Wanted(role, name, text, exact=exact)
        self._expect(f"does not show {wanted}", lambda: self._check_visible(wanted, visible=True))
        return self

    def lacks(
        self,
        *,
        role: str | None = None,
        name: str | re.Pattern[str] | None = None,
        text: str | re.Pattern[str] | None = None,
        exact: bool = False,
    ) -> Self:
        """Fail if the element is to be seen once the page has come to rest."""
        __tracebackhide__ = True
        wanted = _Wanted(role, name, text, exact=exact)
        self._expect(f"shows {wanted}", lambda: self._check_visible(wanted, visible=False))
        return self

    def matches_aria(self, snapshot: str) -> Self:
        """Wait until the accessibility tree matches `snapshot`, in Playwright's YAML; indentation does not matter."""
        __tracebackhide__ = True
        wanted = textwrap.dedent(snapshot).strip("\n")
        self._expect("does not match the snapshot", lambda: self._check_aria(wanted))
        return self

    def no_uncaught_errors(self) -> Self:
        """Fail if something in the page threw and nothing caught it."""
        __tracebackhide__ = True
        uncaught = list(self._traffic.uncaught)
        self._traffic.uncaught.clear()
        if uncaught:
            raise self._failure("has uncaught errors:\n" + textwrap.indent("\n".join(uncaught), "  "))
        return self

    @property
    def aria(self) -> str:
        """The accessibility tree, in the form that `matches_aria` takes."""
        return self._stage.run(self._aria)

    @property
    def text(self) -> str:
        """The text as it is seen."""
        return self._stage.run(lambda: self._scope().inner_text())

    # Doing.

    def click(
        self,
        *,
        role: str | None = None,
        name: str | re.Pattern[str] | None = None,
        text: str | re.Pattern[str] | None = None,
        exact: bool = False,
    ) -> Self:
        """Click the one element that fits, and return when the page has come to rest."""
        __tracebackhide__ = True
        wanted = _Wanted(role, name, text, exact=exact)
        self._expect(f"does not let {wanted} be clicked", lambda: self._click(wanted))
        return self

    def fill(
        self,
        value: str,
        *,
        label: str | re.Pattern[str] | None = None,
        role: str = "textbox",
        name: str | re.Pattern[str] | None = None,
        exact: bool = False,
    ) -> Self:
        """Write `value` into the one field with this label, or this role and name, and wait for rest."""
        __tracebackhide__ = True
        wanted = _Wanted(None if label else role, name, None, label=label, exact=exact)
        self._expect(f"does not let {wanted} be filled", lambda: self._fill(wanted, value))
        return self

    def press(self, key: str) -> Self:
        """Press a key, `Enter` or `Control+A`, where the focus is, and wait for rest."""
        __tracebackhide__ = True
        self._expect(f"does not take the key {key}", lambda: self._press(key))
        return self

    @overload
    def do(self, action: Callable[[Page], Awaitable[T]]) -> T: ...

    @overload
    def do(self, action: Callable[[Page], T]) -> T: ...

    def do(self, action: Callable[[Page], Any]) -> Any:
        """Return what `action` returns, called on the stage's loop with Playwright's async `Page`."""
        return self._stage.run(action, self._page)

    def settle(self) -> Self:
        """Wait until the page has come to rest: nothing is loading, nothing is fetched, for two frames."""
        __tracebackhide__ = True
        self._expect("does not come to rest", lambda: self._traffic.settled(PATIENCE))
        return self

    def come_up(self, show: Callable[[Page], Awaitable[None]]) -> None:
        """Let `show` draw the page, and wait for rest."""
        __tracebackhide__ = True

        async def draw() -> None:
            await show(self._page)
            await self._traffic.settled(PATIENCE)

        self._expect("does not come up", draw)

    # What went over the wire.

    @property
    def api_calls(self) -> list[tuple[str, str]]:
        """The calls to modules' routes so far: method, and path with its query."""
        return [(exchange.method, exchange.path) for exchange in self._traffic.api]

    @property
    def requests(self) -> list[Exchange]:
        """Every request of the page so far."""
        return list(self._traffic.exchanges)

    @property
    def console(self) -> list[str]:
        """What the page wrote to its console: `error: …`."""
        return list(self._traffic.console)

    @property
    def uncaught_errors(self) -> list[str]:
        """What was thrown and not caught; `no_uncaught_errors` clears it."""
        return list(self._traffic.uncaught)

    def screenshot(self, path: Path) -> Path:
        """Write what is seen, as PNG, to `path`."""
        self._stage.run(lambda: self._picture(path))
        return path

    # The async side.

    def _scope(self) -> Locator:
        return self._page.locator("body")

    async def _aria(self) -> str:
        return await self._scope().aria_snapshot(timeout=PATIENCE * 1000)

    async def _picture(self, path: Path) -> None:
        await self._page.screenshot(path=path, full_page=True)

    async def _check_visible(self, wanted: _Wanted, *, visible: bool) -> None:
        from playwright.async_api import expect  # noqa: PLC0415 - tests without a browser do without it

        found = wanted.within(self._scope()).filter(visible=True)
        if visible:
            await expect(found.first).to_be_visible(timeout=PATIENCE * 1000)
        else:
            await self._traffic.settled(PATIENCE)
            await expect(found).to_have_count(0, timeout=1)

    async def _check_aria(self, wanted: str) -> None:
        from playwright.async_api import expect  # noqa: PLC0415 - tests without a browser do without it

        await expect(self._scope()).to_match_aria_snapshot(wanted, timeout=PATIENCE * 1000)

    async def _click(self, wanted: _Wanted) -> None:
        async with self._traffic.caused_by(f"click {wanted} in {self.title}"):
            await wanted.within(self._scope()).click(timeout=PATIENCE * 1000)
            await self._traffic.settled(PATIENCE)

    async def _fill(self, wanted: _Wanted, value: str) -> None:
        async with self._traffic.caused_by(f"fill {wanted} in {self.title}"):
            await wanted.within(self._scope()).fill(value, timeout=PATIENCE * 1000)
            await self._traffic.settled(PATIENCE)

    async def _press(self, key: str) -> None:
        async with self._traffic.caused_by(f"press {key} in {self.title}"):
            await self._page.keyboard.press(key)
            await self._traffic.settled(PATIENCE)

    # Failing.

    def _expect(self, problem: str, action: Callable[[], Awaitable[Any]]) -> None:
        __tracebackhide__ = True
        from playwright.async_api import Error  # noqa: PLC0415 - tests without a browser do without it

        try:
            self._stage.run(action)
        except (AssertionError, TimeoutError, Error) as error:
            raise self._failure(problem, error) from None  # its text holds all that the error says

    def _failure(self, problem: str, error: BaseException | None = None) -> ViewError:
        return ViewError("\n".join([f"{self.title} {problem}", *self._evidence(), *_why(error)]))

    def _evidence(self) -> list[str]:
        """Return what is there, what was asked of the host and what the console says."""
        try:
            there = self._stage.run(lambda: self._scope().aria_snapshot(timeout=1000)) or "(nothing)"
        except Exception as error:  # noqa: BLE001 - the page may be what is broken; the failure itself comes first
            there = f"(cannot be read: {error})".splitlines()[0]
        lines = ["there is:", textwrap.indent(there, "  ")]
        for heading, found in (
            ("requests:", [str(exchange) for exchange in self._traffic.notable[-_SHOWN_REQUESTS:]]),
            ("console:", [line for line in self._traffic.console if line.startswith(("error", "warning"))]),
            ("uncaught errors:", self._traffic.uncaught),
        ):
            if found:
                lines += [heading, textwrap.indent("\n".join(found), "  ")]
        return lines


class Extension(View):
    """One extension in a slot: what `data-slot-ext` surrounds."""

    def __init__(self, stage: Stage, page: Page, traffic: Traffic, extension_id: str, where: str) -> None:
        super().__init__(stage, page, traffic, f"{extension_id} in {where}")
        self.id = extension_id

    @property
    def state(self) -> State:
        """Whether it is `loading`, `ready`, or in `error`."""
        return cast("State", self._stage.run(lambda: self._scope().get_attribute("data-slot-state")))

    def _scope(self) -> Locator:
        return self._page.locator(f'[data-slot-ext="{self.id}"]')


class Slot(View):
    """A slot, or a whole page with slots in it."""

    @property
    def extensions(self) -> list[str]:
        """The ids of the extensions that are drawn, in order."""
        return self._stage.run(self._extensions)

    def extension(self, extension_id: str) -> Extension:
        """Return one extension, `paheko/SaleDetailsPanel`; fail if it is not drawn."""
        __tracebackhide__ = True
        drawn = self.extensions
        if extension_id not in drawn:
            raise self._failure(f"has no extension {extension_id}; it has: {', '.join(drawn) or 'none'}")
        return Extension(self._stage, self._page, self._traffic, extension_id, self.title)

    async def _extensions(self) -> list[str]:
        script = "(all) => all.map((element) => element.dataset.slotExt)"
        found: list[str] = await self._page.locator("[data-slot-ext]").evaluate_all(script)
        return found


class MountedSlot(Slot):
    """A slot that is drawn alone, between two sentinels."""

    def _scope(self) -> Locator:
        return self._page.locator("main")


class _Wanted:
    """An element that a test asks for."""

    def __init__(
        self,
        role: str | None,
        name: str | re.Pattern[str] | None,
        text: str | re.Pattern[str] | None,
        *,
        label: str | re.Pattern[str] | None = None,
        exact: bool,
    ) -> None:
        if name is not None and role is None:
            raise KitError("a name needs a role: role='button', name='Synchroniser'; for any element use text=")
        if role is None and text is None and label is None:
            raise KitError("say which element: role='button', name='Synchroniser', or text='…'")
        self._role, self._name, self._text, self._label, self._exact = role, name, text, label, exact

    def within(self, scope: Locator) -> Locator:
        """Return Playwright's locator of it."""
        if self._label is not None:
            return scope.get_by_label(self._label, exact=self._exact)
        if self._role is None:
            assert self._text is not None
            return scope.get_by_text(self._text, exact=self._exact)
        role: Any = self._role
        found = scope.get_by_role(role, name=self._name, exact=self._exact)
        return found if self._text is None else found.filter(has_text=self._text)

    def __str__(self) -> str:
        """Return `button 'Synchroniser'`."""
        said = {"": self._role, "named": self._name, "with the label": self._label, "with the text": self._text}
        parts = [f"{word} {_quoted(value)}".strip() for word, value in said.items() if value is not None and word]
        return " ".join([self._role or "an element", *parts])


def _quoted(value: str | re.Pattern[str]) -> str:
    return repr(value) if isinstance(value, str) else f"/{value.pattern}/"


def _why(error: BaseException | None) -> list[str]:
    """Return Playwright's own account, without the snapshot that stands above already."""
    if error is None:
        return []
    text = str(error).partition("\nAria snapshot:")[0].strip()
    return ["Playwright says:", textwrap.indent(text, "  ")]
