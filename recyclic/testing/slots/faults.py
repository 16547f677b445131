"""Faults by network: the chunk of one extension throws, never comes, hangs, or is answered with an error."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from recyclic.testing.errors import KitError
from recyclic.testing.matching import closest_name
from recyclic.testing.slots.build import Build, Component

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Route

KINDS = ("throw", "chunk", "hang", "http:<status>")


@dataclass(frozen=True, slots=True)
class ChunkFault:
    """What is to happen to the chunk of `extension`."""

    extension: str
    kind: str
    component: Component

    @property
    def hangs(self) -> bool:
        """Whether the chunk never answers, so that the extension stays loading."""
        return self.kind == "hang"

    def concerns(self, url: str) -> bool:
        """Return whether `url` is the chunk's."""
        return urlsplit(url).path == f"/{self.component.file}"

    async def install(self, context: BrowserContext) -> None:
        """Let the fault happen in every page of `context`."""
        chunk = f"**/{self.component.file}"
        await context.route(chunk, self._answer())

    def _answer(self) -> Callable[[Route], Awaitable[None]]:
        if self.kind == "throw":
            return lambda route: route.fulfill(content_type="text/javascript", body=self._thrower())
        if self.kind == "chunk":
            return lambda route: route.abort("failed")
        if self.kind == "hang":
            return _never
        status = int(self.kind.partition(":")[2])
        return lambda route: route.fulfill(status=status, content_type="text/plain", body=f"fault {self.kind}")

    def _thrower(self) -> str:
        """Return a chunk with the same exports, all of which throw when they are drawn."""
        text = json.dumps(f"fault: {self.extension} throws")
        names = ", ".join(f"Fault as {name}" for name in self.component.exports)
        return f"function Fault() {{ throw new Error({text}); }}\nexport {{ {names} }};\n"


async def _never(_route: Route) -> None:
    """Leave the request without an answer; it ends with its page."""


def plan(faults: Mapping[str, str], build: Build | None) -> list[ChunkFault]:
    """Return the faults for extensions of `build`, checked.

    Raises:
        KitError: there is no such extension or kind of fault, or the extension is no chunk of its own.
    """
    if not faults:
        return []
    if build is None:
        raise KitError("faults break the chunks of the build: they do not go with --ui-url, which has none")
    known = build.components()
    planned = []
    for extension, kind in faults.items():
        component = known.get(extension)
        if component is None:
            there = ", ".join(sorted(known)) or "none"
            near = closest_name(extension, list(known))
            raise KitError(f"no extension {extension!r} is in this build{near}; there are: {there}")
        if not _is_kind(kind):
            raise KitError(f"unknown fault {kind!r} for {extension}: use {', '.join(KINDS)}")
        if not component.lazy:
            raise KitError(f"{extension} is not loaded lazily: {component.file} comes with the shell, so no fault fits")
        planned.append(ChunkFault(extension, kind, component))
    return planned


def _is_kind(kind: str) -> bool:
    head, colon, status = kind.partition(":")
    if head == "http":
        return status.isascii() and status.isdigit() and 400 <= int(status) <= 599
    return not colon and head in KINDS
