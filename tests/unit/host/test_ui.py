"""The UI manifest of each user, and the built front end."""

from __future__ import annotations

from pathlib import Path

import pytest

from recyclic.core import ui
from recyclic.core.manifest import UiManifest
from recyclic.version import __version__
from tests.unit.host.conftest import Quiet, manifest_of


class Filler(Quiet):
    def register_ui_extensions(self) -> dict[str, list[str]]:
        return {"sale_details": ["Panel", "Second"]}


class Other(Quiet):
    def register_ui_extensions(self) -> dict[str, list[str]]:
        return {"sale_details": ["Third"], "settings_menu": ["Entry"]}


TILL = manifest_of("till", ui=UiManifest(routes=("/modules/till",)))
BOOKS = manifest_of("books", section="accounting", ui=UiManifest(routes=("/modules/books",)))
MODULES = [("till", Filler, TILL), ("books", Other, BOOKS)]


class TestManifest:
    async def test_an_administrator_gets_all_in_start_order(self, run_host):
        async with run_host(*MODULES) as host:
            client = await host.sign_in()
            answer = (await client.get("/api/ui")).json()
        assert answer["host_version"] == __version__
        assert answer["test_mode"] is False
        assert answer["user"]["name"] == "administrator"
        assert [module["id"] for module in answer["modules"]] == ["till", "books"]
        assert answer["modules"][0] == {
            "id": "till",
            "name": "till",
            "description": "A module of a test",
            "version": "1.0",
            "routes": ["/modules/till"],
        }
        assert answer["slots"] == {
            "sale_details": [
                {"module": "till", "component": "Panel"},
                {"module": "till", "component": "Second"},
                {"module": "books", "component": "Third"},
            ],
            "settings_menu": [{"module": "books", "component": "Entry"}],
        }

    async def test_others_get_what_they_may_read(self, run_host):
        async with run_host(*MODULES) as host:
            client = await host.sign_in(caisse="read", accounting="none")
            answer = (await client.get("/api/ui")).json()
        assert [module["id"] for module in answer["modules"]] == ["till"]
        assert {entry["module"] for entries in answer["slots"].values() for entry in entries} == {"till"}

    async def test_nobody_gets_nothing_and_no_401(self, run_host):
        async with run_host(*MODULES) as host:
            response = await host.http.get("/api/ui")
        assert response.status_code == 200
        answer = response.json()
        assert (answer["user"], answer["modules"], answer["slots"]) == (None, [], {})


@pytest.fixture
def dist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "frontend" / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>the application</title>")
    (folder / "slots.html").write_text("<title>the stage</title>")
    (folder / "ui-map.json").write_text("{}")
    (folder / "assets" / "index-abc123.js").write_text("1")
    (tmp_path / "frontend" / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "frontend" / "secret.txt")
    monkeypatch.setattr(ui, "built_front_end", lambda: folder)
    return folder


class TestFrontEnd:
    @pytest.mark.parametrize(
        "path", ["/", "/index.html", "/modules/caisse", "/modules/caisse/ventes/x", "/sign-in", "/apis", "/assets"]
    )
    async def test_every_page_is_the_application(self, run_host, dist, path):
        async with run_host() as host:
            response = await host.http.get(path)
        assert response.status_code == 200
        assert "the application" in response.text
        assert response.headers["cache-control"] == "no-cache"

    async def test_hashed_files_are_kept_for_ever_and_others_asked_for_again(self, run_host, dist):
        async with run_host() as host:
            response = await host.http.get("/assets/index-abc123.js")
            assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert response.headers["content-type"].startswith("text/javascript")
            page = await host.http.get("/ui-map.json")
            assert page.headers["cache-control"] == "no-cache"
            again = await host.http.get("/ui-map.json", headers={"If-None-Match": page.headers["etag"]})
            assert again.status_code == 304

    @pytest.mark.parametrize("path", ["/assets/gone.js", "/api/x", "/api", "/health/x", "/__slots__", "/slots.html"])
    async def test_what_is_not_there_is_404_and_not_the_application(self, run_host, dist, path):
        async with run_host() as host:
            response = await host.http.get(path)
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "not_found"

    async def test_the_stage_of_slots_is_there_in_test_mode_only(self, run_host, dist, config):
        async with run_host(config=config.model_copy(update={"test_mode": True})) as host:
            assert "the stage" in (await host.http.get("/__slots__")).text
            assert (await host.http.get("/api/ui")).json()["test_mode"] is True

    @pytest.mark.parametrize(
        "path",
        ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/assets/../../secret.txt", "/..\\secret.txt",
         "/%2e%2e%5csecret.txt", "/link.txt", "//etc/passwd", "/%00", "/a%00b", "/" + "x" * 5000],
    )  # fmt: skip
    async def test_nothing_outside_the_build_is_served(self, run_host, dist, path):
        async with run_host() as host:
            response = await host.http.get(f"http://shop.test{path}")
        assert response.status_code in (200, 404)
        assert "secret" not in response.text
        assert "root:" not in response.text

    async def test_a_page_takes_no_posts(self, run_host, dist):
        async with run_host() as host:
            response = await host.http.post("/modules/caisse")
            assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")
            assert (await host.http.head("/")).status_code == 200

    async def test_without_a_build_the_page_says_how_to_make_one(self, run_host, monkeypatch):
        monkeypatch.setattr(ui, "built_front_end", lambda: None)
        async with run_host() as host:
            response = await host.http.get("/")
        assert response.status_code == 503
        assert "make run" in response.text
        assert "npm run build" in response.text

    async def test_without_the_ui_every_page_is_404(self, run_host, dist):
        async with run_host(serve_ui=False) as host:
            response = await host.http.get("/")
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
