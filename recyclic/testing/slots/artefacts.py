"""What is kept of a failed test's pages: what they showed, said and asked."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recyclic.testing.slots.render import Opened, UiHost

_SECONDS = 5000


def keep_pages(ui: UiHost, folder: Path) -> list[str]:
    """Write what the pages showed into `folder`; return what could not be had."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        problem for number, opened in enumerate(ui.opened, 1) for problem in ui.run(_keep_page, opened, number, folder)
    ]


def keep_traces(ui: UiHost, folder: Path) -> None:
    """Write the Playwright traces alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, opened in enumerate(ui.opened, 1):
        ui.run(opened.stop_trace, folder / f"{_stem(opened, number)}.trace.zip")


async def _keep_page(opened: Opened, number: int, folder: Path) -> list[str]:
    stem = _stem(opened, number)
    page, traffic = opened.page, opened.traffic
    (folder / f"{stem}.requests.txt").write_text("".join(f"{one}\n" for one in traffic.exchanges), "utf-8")
    said = [*traffic.console, *(f"uncaught: {error}" for error in traffic.uncaught)]
    (folder / f"{stem}.console.txt").write_text("".join(f"{line}\n" for line in said), "utf-8")

    async def aria() -> None:
        snapshot = await page.locator("body").aria_snapshot(timeout=_SECONDS)
        (folder / f"{stem}.aria.yml").write_text(snapshot + "\n", "utf-8")

    attempts: dict[str, Callable[[], Awaitable[object]]] = {
        "screenshot": lambda: page.screenshot(path=folder / f"{stem}.png", full_page=True, timeout=_SECONDS),
        "ARIA snapshot": aria,
        "Playwright trace": lambda: opened.stop_trace(folder / f"{stem}.trace.zip"),
    }
    problems = []
    for what, attempt in attempts.items():
        try:
            await attempt()
        except Exception as error:  # noqa: BLE001 - whatever broke the page must not hide the test's own failure
            problems.append(f"no {what} of {opened.stance.title}: {str(error).splitlines()[0]}")
    return problems


def _stem(opened: Opened, number: int) -> str:
    return f"{number}-" + re.sub(r"[^\w=-]+", "-", opened.stance.title, flags=re.ASCII).strip("-")[:60]
