"""The browser that draws the slots: which one it is, and how it is started."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from recyclic.testing.errors import KitError

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserType

VARIABLE = "RECYCLIC_BROWSER"
HEADLESS_NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
HEADED_NAMES = ("chromium", "google-chrome")
_QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")


class BrowserError(KitError):
    """Raised when there is no browser, or it does not start.

    Where there is none, the text says where it was looked for and which command installs one.
    """


def find_browser(
    bundled: Path,
    *,
    headed: bool = False,
    environ: Mapping[str, str] = os.environ,
    which: Callable[[str], str | None] = shutil.which,
) -> Path:
    """Return the browser's program: the one that `RECYCLIC_BROWSER` names, Playwright's own, or one on PATH.

    `bundled` is where Playwright's own Chromium would be. A headless run may also use its headless shell.

    Raises:
        BrowserError: there is none, or `RECYCLIC_BROWSER` names none.
    """
    if named := environ.get(VARIABLE):
        found = which(named)
        if found is None:
            raise BrowserError(f"{VARIABLE} is {named!r}, which is no program: name a Chromium, or unset it")
        return Path(found)
    for own in [*(() if headed else _headless_shells(bundled)), bundled]:
        if os.access(own, os.X_OK):
            return own
    names = HEADED_NAMES if headed else HEADLESS_NAMES
    for name in names:
        if found := which(name):
            return Path(found)
    raise BrowserError(
        "there is no browser to draw slots in. Looked for:\n"
        f"  the program that {VARIABLE} names (it is not set)\n"
        f"  Playwright's own at {bundled}\n"
        f"  {', '.join(names)} on PATH\n"
        "Install one:\n"
        "  python -m playwright install --with-deps chromium\n"
        "or, on Debian:\n"
        f"  sudo apt-get install {names[0]}"
    )


def _headless_shells(bundled: Path) -> Iterable[Path]:
    """Return the headless shells that Playwright has installed beside `bundled`, of the same revision."""
    for folder in bundled.parents:
        if folder.name.startswith("chromium-"):
            shell = folder.with_name(folder.name.replace("chromium-", "chromium_headless_shell-", 1))
            return sorted(path for path in shell.glob("*/*headless*shell") if path.is_file())
    return ()


def arguments(hosts: Iterable[str], *, root: bool) -> list[str]:
    """Return the command line: no traffic of the browser's own, and no host but `hosts` can be reached."""
    reachable = "".join(f", EXCLUDE {host}" for host in hosts)
    sandbox = ["--no-sandbox"] if root else []  # Chromium refuses to sandbox root's processes
    return [*_QUIET, f"--host-resolver-rules=MAP * ~NOTFOUND{reachable}", *sandbox]


async def launch(browser_type: BrowserType, *, hosts: Iterable[str], headed: bool) -> Browser:
    """Start the browser.

    Raises:
        BrowserError: there is none, or it does not start.
    """
    from playwright.async_api import Error  # noqa: PLC0415 - tests without a browser do without it

    program = find_browser(Path(browser_type.executable_path), headed=headed)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    try:
        return await browser_type.launch(
            executable_path=program, headless=not headed, args=arguments(hosts, root=root), handle_sigint=False
        )
    except Error as error:
        raise BrowserError(f"the browser {program} does not start: {error}") from error
