"""What is kept of a failed test: one folder with what the pages showed, said and asked, and the bus's timeline."""

from __future__ import annotations

import re
import shutil
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recyclic.testing.slots.render import Opened, UiHost

_LONGEST_NAME = 120
_SECONDS = 5000


def folder_for(root: Path, node_id: str) -> Path:
    """Return the folder of a test in `root`: its id with dashes; where that is not all of the id, with its checksum."""
    name = re.sub(r"[^\w.=-]+", "-", node_id, flags=re.ASCII).strip("-.") or "test"
    if len(name) > _LONGEST_NAME or not node_id.isascii():
        name = f"{name[:_LONGEST_NAME]}-{zlib.crc32(node_id.encode('utf-8', 'replace')):08x}"
    return root / name


def forget(folder: Path) -> None:
    """Remove what is kept of an earlier run of the test."""
    shutil.rmtree(folder, ignore_errors=True)


def keep(ui: UiHost, folder: Path) -> list[str]:
    """Write everything into `folder`, emptied first; return what could not be had."""
    forget(folder)
    folder.mkdir(parents=True)
    (folder / "timeline.txt").write_text(ui.host.timeline + "\n", "utf-8")
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
