"""The configuration: file, environment, defaults, and everything wrong at once."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from recyclic.config import Config
from recyclic.errors import ConfigError


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        file = tmp_path / "config.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def problems(path: Path | None, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Config.load(path, environ or {})
    return [str(problem) for problem in caught.value.problems]


def test_the_file_is_read(write):
    file = write(
        '[server]\nport = 9000\n[modules]\nenabled = ["caisse", "paheko"]\n[modules.paheko]\nurl = "https://x"\n'
    )
    config = Config.load(file, {})
    assert config.server.port == 9000
    assert config.server.host == "127.0.0.1"
    assert config.modules.enabled == ("caisse", "paheko")
    assert config.module_settings == {"paheko": {"url": "https://x"}}
    assert config.path == file


def test_paths_are_relative_to_the_file(write, tmp_path):
    config = Config.load(write('data_dir = "d"\n[modules]\npath = ["more", "/abs"]\n'), {})
    assert config.data_dir == tmp_path / "d"
    assert config.modules.path == (tmp_path / "more", Path("/abs"))
    assert config.database_url == f"sqlite+aiosqlite:///{tmp_path / 'd' / 'recyclic.sqlite3'}"


def test_without_a_file_the_defaults_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = Config.load(environ={})
    assert config.path is None
    assert config.modules.enabled == ()
    assert config.data_dir == tmp_path / "data"


def test_a_named_file_must_exist(tmp_path):
    assert problems(None, {"RECYCLIC_CONFIG": str(tmp_path / "gone.toml")}) == [
        f"{tmp_path / 'gone.toml'}: there is no such file: correct RECYCLIC_CONFIG or --config"
    ]


def test_recyclic_config_names_the_file(write):
    assert Config.load(environ={"RECYCLIC_CONFIG": str(write("[server]\nport = 1\n"))}).server.port == 1


def test_every_unknown_key_is_told_with_the_nearest(write):
    file = write('dta_dir = "x"\n[server]\nprot = 1\nhost = ""\n[modules]\nenable = []\n[redsi]\nurl = ""\n')
    assert problems(file) == [
        f"{file}: [server] host: String should have at least 1 character",
        f"{file}: [server] prot: unknown key: did you mean port?",
        f"{file}: [modules] enable: unknown key: did you mean enabled?",
        f"{file}: dta_dir: unknown key: did you mean data_dir?",
        f"{file}: redsi: unknown key: did you mean redis?",
    ]


def test_values_are_checked_together(write):
    file = write(
        'secret_key = "short"\n[modules]\nenabled = ["a", "a"]\n[redis]\nurl = "fake://"\n[database]\nurl = "mysql://x"\n'
    )
    told = problems(file)
    assert [line.split(": ")[1] for line in told] == [
        "[modules] enabled",
        "[redis] url",
        "[database] url",
        "secret_key",
    ]
    assert "fake:// exists in tests only" in told[1]


def test_secrets_are_not_in_messages_or_reprs(write):
    config = Config.build(
        redis={"url": "redis://:hush@h"}, secret_key="hush" * 10, module_settings={"x": {"p": "hush"}}
    )
    assert "hush" not in repr(config)
    assert "hush" not in "".join(problems(write('[server]\nport = "hush"\n[redis]\nurl = ["hush"]\n')))


@pytest.mark.parametrize("text", ["[server\n", "x = 1\nx = 2\n", "a" * 10 + " = [" * 9])
def test_broken_toml_names_the_line(write, text):
    (told,) = problems(write(text))
    assert "this is not TOML" in told
    assert "line" in told or "end of document" in told


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x = " + b"[" * 5000])
def test_unreadable_files_are_an_error_not_a_crash(tmp_path, content):
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    assert problems(file)


class TestEnvironment:
    def test_overrides_every_kind_of_key(self, write):
        environ = {
            "RECYCLIC_SERVER__PORT": "1234",
            "RECYCLIC_MODULES__ENABLED": '["caisse", "members"]',
            "RECYCLIC_MODULES__PATH": "/a, /b",
            "RECYCLIC_MODULES__PAHEKO__PASSWORD": "x",
            "RECYCLIC_MODULES__PAHEKO__ACCOUNTS__CASH": "530",
            "RECYCLIC_DATABASE__MIGRATE": "true",
            "RECYCLIC_DATA_DIR": "/data",
            "RECYCLIC_TEST_MODE": "1",
        }
        config = Config.load(write('[server]\nport = 1\n[modules.paheko]\npassword = "file"\nurl = "u"\n'), environ)
        assert config.server.port == 1234
        assert config.modules.enabled == ("caisse", "members")
        assert config.modules.path == (Path("/a"), Path("/b"))
        assert config.module_settings == {"paheko": {"password": "x", "url": "u", "accounts": {"cash": "530"}}}
        assert config.database.migrate is True
        assert config.data_dir == Path("/data")
        assert config.test_mode is True

    def test_usual_names_are_honoured_and_the_own_name_wins(self, write):
        environ = {"REDIS_URL": "redis://a", "DATABASE_URL": "postgres://u:p@h/n", "RECYCLIC_REDIS__URL": "redis://b"}
        config = Config.load(write(""), environ)
        assert config.redis.url == "redis://b"
        assert config.database_url == "postgresql+asyncpg://u:p@h/n"

    def test_mistyped_variables_are_refused_and_strangers_ignored(self, write):
        environ = {
            "RECYCLIC_REDIS__ULR": "x",
            "RECYCLIC_REDIS_URL": "x",
            "RECYCLIC_SERVER__PORT": "many",
            "RECYCLIC_TEST_PAHEKO_URL": "https://x",
            "RECYCLICAL": "x",
        }
        assert problems(write(""), environ) == [
            "RECYCLIC_REDIS_URL: unknown environment variable: did you mean RECYCLIC_REDIS__URL?",
            "RECYCLIC_REDIS__ULR: unknown environment variable: did you mean RECYCLIC_REDIS__URL?",
            "RECYCLIC_SERVER__PORT: Input should be a valid integer, unable to parse string as an integer",
        ]

    def test_a_variable_below_a_plain_value_is_told(self, write):
        file = write('[modules.paheko]\naccounts = "x"\n')
        (told,) = problems(file, {"RECYCLIC_MODULES__PAHEKO__ACCOUNTS__CASH": "530"})
        assert "accounts is not a table" in told

    @pytest.mark.parametrize("text", ["redis = 1", "modules = 1", 'server = "x"', "[modules]\nenabled = 1"])
    def test_wrong_shapes_are_told_even_when_overridden(self, write, text):
        assert problems(write(text), {"RECYCLIC_REDIS__URL": "redis://x", "RECYCLIC_SERVER__PORT": "1"})


class TestSecret:
    def test_is_made_once_and_private(self, tmp_path):
        config = Config.build(data_dir=tmp_path / "data")
        key = config.secret()
        assert len(key) >= 32
        assert Config.build(data_dir=tmp_path / "data").secret() == key
        assert stat.S_IMODE((tmp_path / "data" / "secret-key").stat().st_mode) == 0o600
        assert [file.name for file in (tmp_path / "data").iterdir()] == ["secret-key"]

    def test_a_given_key_is_used_and_nothing_written(self, tmp_path):
        assert Config.build(data_dir=tmp_path / "data", secret_key="k" * 32).secret() == "k" * 32
        assert not (tmp_path / "data").exists()

    def test_a_damaged_key_is_told(self, tmp_path):
        (tmp_path / "secret-key").write_text("")
        with pytest.raises(ConfigError, match="remove the file"):
            Config.build(data_dir=tmp_path).secret()

    def test_an_unusable_data_folder_is_told(self, tmp_path):
        (tmp_path / "data").write_text("a file")
        with pytest.raises(ConfigError, match="make the data folder writable"):
            Config.build(data_dir=tmp_path / "data").secret()


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///x.db", "sqlite+aiosqlite:///x.db"),
        ("postgresql://u@h/n", "postgresql+asyncpg://u@h/n"),
        ("postgresql+asyncpg://u@h/n", "postgresql+asyncpg://u@h/n"),
    ],
)
def test_database_urls_get_their_async_driver(url, driver):
    assert Config.build(database={"url": url}).database_url == driver
