"""No test runs on a stale front end: it is built anew, or the reason is said."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

import recyclic
from recyclic.testing.slots import build
from recyclic.testing.slots.build import BuildError, front_end


class Checkout:
    """A checkout with a front end whose build is counted, not run."""

    def __init__(self, root: Path) -> None:
        self.package = root / "recyclic"
        self.sources = root / "frontend"
        self.built = 0
        for file in (
            "package.json",
            "index.html",
            "slots.html",
            "src/app.tsx",
            "src/app.test.tsx",
            "src/test/setup.ts",
        ):
            (self.sources / file).parent.mkdir(parents=True, exist_ok=True)
            (self.sources / file).write_text(file)

    def build(self, sources: Path) -> None:
        self.built += 1
        (sources / "dist").mkdir(exist_ok=True)
        (sources / "dist" / "slots.html").write_text("built")
        (sources / "dist" / build.FINGERPRINT).write_text(json.dumps({"sha256": build.fingerprint(sources)}))
        (sources / "dist" / build.UI_MAP).write_text("{}")

    def front_end(self, **environ: str):
        return front_end(self.package, environ, self.build)


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    return Checkout(tmp_path)


def test_what_is_built_from_these_sources_is_taken(checkout):
    checkout.build(checkout.sources)
    assert checkout.front_end().folder == checkout.sources / "dist"
    assert checkout.built == 1


def test_missing_build_is_made(checkout):
    assert checkout.front_end().components() == {}
    assert checkout.built == 1


@pytest.mark.parametrize("change", ["edit", "add", "remove", "lock", "plugin", "rename"])
def test_changed_sources_are_built_anew(checkout, change):
    (checkout.sources / "src" / "old.tsx").write_text("old")
    checkout.front_end()
    {
        "edit": lambda: (checkout.sources / "src" / "app.tsx").write_text("edited"),
        "add": lambda: (checkout.sources / "src" / "more.css").write_text("new"),
        "remove": (checkout.sources / "src" / "old.tsx").unlink,
        "lock": lambda: (checkout.sources / "package-lock.json").write_text("{}"),
        "plugin": lambda: (checkout.sources / "build").mkdir() or (checkout.sources / "build" / "p.ts").write_text(""),
        "rename": lambda: (checkout.sources / "src" / "old.tsx").rename(checkout.sources / "src" / "new.tsx"),
    }[change]()
    checkout.front_end()
    assert checkout.built == 2


def test_changed_tests_of_the_front_end_change_nothing(checkout):
    checkout.front_end()
    (checkout.sources / "src" / "app.test.tsx").write_text("edited")
    (checkout.sources / "src" / "test" / "setup.ts").write_text("edited")
    checkout.front_end()
    assert checkout.built == 1


def test_a_build_that_does_not_say_its_sources_is_stale(checkout):
    checkout.build(checkout.sources)
    for damage in ("", "not JSON", "[1]", "{}"):
        (checkout.sources / "dist" / build.FINGERPRINT).write_text(damage)
        with pytest.raises(BuildError, match=r"does not say what it was built from"):
            checkout.front_end(CI="true")


def test_in_ci_a_stale_build_fails_with_the_reason(checkout):
    with pytest.raises(BuildError, match=r"is not built: there is no .*slots\.html\. In CI nothing is built"):
        checkout.front_end(CI="true")
    checkout.build(checkout.sources)
    (checkout.sources / "src" / "app.tsx").write_text("edited")
    with pytest.raises(BuildError, match=r"is stale: files in .* have changed since .* run `npm run build`"):
        checkout.front_end(CI="1")
    assert checkout.built == 1


def test_two_processes_that_find_it_stale_build_once(checkout):
    """Threads with handles of their own on one lock file, as processes have."""
    start = threading.Barrier(4)

    def want() -> None:
        start.wait()
        checkout.front_end()

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert checkout.built == 1


def test_without_npm_the_way_out_is_named(checkout, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *_args, **_options: None)
    with pytest.raises(BuildError, match=r"not built.*cannot be built: there is no npm on PATH\. `make run` sets"):
        front_end(checkout.package, {})


def test_without_packages_the_way_out_is_named(checkout, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *_args, **_options: "/usr/bin/npm")
    with pytest.raises(BuildError, match=r"cannot be built: .*node_modules is missing"):
        front_end(checkout.package, {})


def test_failing_build_shows_what_it_said(checkout, tmp_path):
    (checkout.sources / "node_modules").mkdir()
    (tmp_path / "bin").mkdir()
    npm = tmp_path / "bin" / "npm"
    npm.write_text("#!/bin/sh\necho 'error TS2344 in SaleDetailsPanel'\nexit 2\n")
    npm.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shutil.which", lambda *_args, **_options: str(npm))
        with pytest.raises(BuildError, match=r"`npm run build` failed in .*frontend:\nerror TS2344"):
            front_end(checkout.package, {})


def test_installed_package_brings_its_front_end(tmp_path):
    with pytest.raises(BuildError, match=r"this installation has no front end"):
        front_end(tmp_path / "recyclic", {})
    carried = tmp_path / "recyclic" / "_frontend"
    carried.mkdir(parents=True)
    (carried / "slots.html").write_text("carried")
    assert front_end(tmp_path / "recyclic", {"CI": "true"}).folder == carried
    with pytest.raises(BuildError, match=r"ui-map\.json is missing or damaged"):
        front_end(tmp_path / "recyclic", {}).components()


@pytest.mark.slow
def test_vite_and_the_kit_agree_on_the_fingerprint(recyclic_front_end):
    """The plugin in TypeScript and this one read the same files in the same order."""
    sources = Path(recyclic.__file__).parent.parent / "frontend"
    said = json.loads((recyclic_front_end.folder / build.FINGERPRINT).read_text())
    assert said == {"sha256": build.fingerprint(sources)}
    panel = recyclic_front_end.components()["paheko/SaleDetailsPanel"]
    assert panel.lazy
    assert "default" in panel.exports
