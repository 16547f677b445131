"""Config: `config.toml` and the environment, checked together and then frozen."""

from __future__ import annotations

import os
import secrets
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from recyclic.config_environment import EnvironmentReader
from recyclic.errors import ConfigError, Problem
from recyclic.nearest import nearest
from recyclic.redis_url import RedisUrl

DEFAULT_FILE = "config.toml"
SQLITE_FILE = "recyclic.sqlite3"
_ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}


_File = Annotated[Path | None, BeforeValidator(lambda value: None if value == "" else value)]
"""A file that need not be named; empty text, which TOML can say, names none."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ServerConfig(_Section):
    """`[server]`: where the host listens."""

    host: str = Field("127.0.0.1", min_length=1)
    port: int = Field(8000, ge=0, le=65535)
    workers: int = Field(1, ge=1, le=256)
    max_body_bytes: int = Field(5_000_000, ge=1)


class ModulesConfig(_Section):
    """`[modules]`: what is enabled, in start order, and where else modules are looked for."""

    enabled: tuple[str, ...] = ()
    path: tuple[Path, ...] = ()


class RedisConfig(_Section):
    """`[redis]`: where events travel. Without a `url` the host runs a server of its own in the data folder.

    The `tls_` keys are for `rediss` URLs; the `sentinel_` ones for Sentinels that ask who is there.
    """

    url: str = Field("", repr=False)
    tls_ca: _File = None
    tls_cert: _File = None
    tls_key: _File = None
    tls_check_hostname: bool = True
    sentinel_username: str = ""
    sentinel_password: str = Field("", repr=False)


class DatabaseConfig(_Section):
    """`[database]`: SQLite in the data folder without a `url`; `migrate`: the host migrates a server at its start."""

    url: str = Field("", repr=False)
    migrate: bool = False


class BusConfig(_Section):
    """`[bus]`: how the EventBus retries, recovers and retains; times in seconds. A key left out keeps the bus's own."""

    max_attempts: int | None = Field(None, ge=1)
    backoff: float | None = Field(None, gt=0)
    max_backoff: float | None = Field(None, gt=0)
    lease: float | None = Field(None, ge=0.5)
    concurrency: int | None = Field(None, ge=1, le=1024)
    prefetch: int | None = Field(None, ge=1, le=10_000)
    maxlen: int | None = Field(None, ge=1)
    retain_days: float | None = Field(None, ge=0, le=36_500)
    hard_limit: int | None = Field(None, ge=1)
    outbox_limit: float | None = Field(None, gt=0)
    outbox_keep: float | None = Field(None, ge=60)


class MetricsConfig(_Section):
    """`[metrics]`: the token that a scraper of `/metrics` shows; without one only administrators may read it."""

    token: str = Field("", repr=False)


class LogConfig(_Section):
    """`[log]`: how much is logged and how it looks; `auto` is coloured on a terminal and JSON elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


class Config(_Section):
    """All settings of one installation. Build it with `load` or, in tests, with `build`."""

    data_dir: Path = Path("data")
    secret_key: str = Field("", repr=False)
    test_mode: bool = False
    server: ServerConfig = ServerConfig()
    modules: ModulesConfig = ModulesConfig()
    redis: RedisConfig = RedisConfig()
    database: DatabaseConfig = DatabaseConfig()
    bus: BusConfig = BusConfig()
    metrics: MetricsConfig = MetricsConfig()
    log: LogConfig = LogConfig()
    module_settings: dict[str, dict[str, Any]] = Field(default_factory=dict, repr=False)
    path: Path | None = None

    @classmethod
    def load(cls, path: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
        """Read `config.toml`, or the file that `RECYCLIC_CONFIG` names, and let the environment override it.

        Without a file the defaults hold; a file that was named must exist.

        Raises:
            ConfigError: with every problem of the file and the environment.
        """
        environment = os.environ if environ is None else environ
        named = path or (Path(environment["RECYCLIC_CONFIG"]) if environment.get("RECYCLIC_CONFIG") else None)
        file = (named or Path(DEFAULT_FILE)).expanduser().absolute()
        problems: list[Problem] = []
        raw: dict[str, Any] = {}
        if file.is_file():
            raw = _read(file)
        elif named is not None:
            raise ConfigError(Problem("there is no such file", str(file), "correct RECYCLIC_CONFIG or --config"))
        values, module_settings = _split(raw)
        reader = EnvironmentReader(_known_keys(), environment)
        problems += reader.apply(values, module_settings)
        return cls._checked(
            values, module_settings, file if file.is_file() else None, file.parent, problems, reader.sources
        )

    @classmethod
    def build(cls, **overrides: Any) -> Config:
        """Return a configuration from keyword dicts, without file or environment: `build(server={"port": 0})`."""
        module_settings = {key: dict(table) for key, table in overrides.pop("module_settings", {}).items()}
        path: Path | None = overrides.pop("path", None)
        values = {
            key: value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value
            for key, value in overrides.items()
        }
        return cls._checked(values, module_settings, path, Path.cwd(), [], {})

    @classmethod
    def _checked(
        cls,
        values: dict[str, Any],
        module_settings: dict[str, dict[str, Any]],
        file: Path | None,
        base: Path,
        problems: list[Problem],
        sources: Mapping[tuple[str, ...], str],
    ) -> Config:
        where = str(file) if file else "configuration"
        try:
            config = cls.model_validate({**values, "module_settings": module_settings, "path": file})
        except ValidationError as error:
            problems += [_problem(item, where, sources) for item in error.errors()]
            raise ConfigError(problems) from None
        problems += _more_problems(config, where)
        if problems:
            raise ConfigError(problems)
        return config.model_copy(
            update={
                "data_dir": _absolute(config.data_dir, base),
                "redis": config.redis.model_copy(
                    update={
                        key: _absolute(file, base)
                        for key in ("tls_ca", "tls_cert", "tls_key")
                        if (file := getattr(config.redis, key)) is not None
                    }
                ),
                "modules": config.modules.model_copy(
                    update={"path": tuple(_absolute(folder, base) for folder in config.modules.path)}
                ),
            }
        )

    @property
    def database_url(self) -> str:
        """Return the database's SQLAlchemy URL with its async driver; SQLite in the data folder by default."""
        if not self.database.url:
            return f"sqlite+aiosqlite:///{self.data_dir / SQLITE_FILE}"
        scheme, _, rest = self.database.url.partition("://")
        return f"{_ASYNC_DRIVERS.get(scheme, scheme)}://{rest}"

    def secret(self) -> str:
        """Return the key that cookies are signed with; without `secret_key` one is made once, in the data folder."""
        if self.secret_key:
            return self.secret_key
        file = self.data_dir / "secret-key"
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                _write_once(file, secrets.token_urlsafe(48))
            key = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            remedy = "make the data folder writable, or set secret_key"
            raise ConfigError(Problem(f"the secret key cannot be kept: {error}", str(file), remedy)) from error
        if len(key) < 32:
            raise ConfigError(Problem("the secret key is too short", str(file), "remove the file: a new one is made"))
        return key


def _write_once(file: Path, text: str) -> None:
    """Create `file` (mode 600) whole, or leave the one that another process has just made."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".secret-key-")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(name, file)
        except FileExistsError:
            return
    finally:
        Path(name).unlink()


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(Problem(f"this is not TOML: {error}", str(file))) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(Problem(f"the file cannot be read: {error}", str(file))) from error


def _split(raw: dict[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Take the `[modules.<id>]` tables out of `[modules]`."""
    values = dict(raw)
    tables: dict[str, dict[str, Any]] = {}
    modules = values.get("modules")
    if isinstance(modules, dict):
        tables = {key: dict(value) for key, value in modules.items() if isinstance(value, dict)}
        values["modules"] = {key: value for key, value in modules.items() if not isinstance(value, dict)}
    return values, tables


def _known_keys() -> dict[str, tuple[str, ...]]:
    """Return section → keys; the section "" has the keys at the top of the file."""
    known: dict[str, tuple[str, ...]] = {"": ("data_dir", "secret_key", "test_mode")}
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, _Section):
            known[name] = tuple(field.annotation.model_fields)
    return known


def _problem(item: Any, where: str, sources: Mapping[tuple[str, ...], str]) -> Problem:
    location = tuple(str(part) for part in item["loc"])
    known = _known_keys()
    section = location[0] if len(location) > 1 else ""
    place = sources.get(location[:2]) or sources.get(location[:1])
    place = place or (f"{where}: [{section}] {'.'.join(location[1:])}" if section else f"{where}: {location[0]}")
    if item["type"] == "extra_forbidden":
        if not section and location[0] in ("path", "module_settings"):
            return Problem("unknown key", place, "remove it")
        words = known.get(section, ()) if section else (*known[""], *(name for name in known if name))
        return Problem("unknown key", place, nearest(location[-1], words))
    return Problem(item["msg"], place)


def _more_problems(config: Config, where: str) -> list[Problem]:
    """Check what types cannot say."""
    problems = []
    twice = {name for name in config.modules.enabled if config.modules.enabled.count(name) > 1}
    problems += [
        Problem(f"{name} is enabled twice", f"{where}: [modules] enabled", "name it once") for name in sorted(twice)
    ]
    problems += _redis_problems(config.redis, f"{where}: [redis]")
    scheme = config.database.url.partition("://")[0]
    if config.database.url and scheme not in (*_ASYNC_DRIVERS, *_ASYNC_DRIVERS.values()):
        remedy = "use sqlite:///path or postgresql://user:password@host/name"
        problems.append(Problem("this database is not supported", f"{where}: [database] url", remedy))
    if config.metrics.token and len(config.metrics.token) < 16:
        problems.append(Problem("the token is too short", f"{where}: [metrics] token", "use 16 characters or more"))
    if config.secret_key and len(config.secret_key) < 32:
        remedy = "use 32 characters or more, or leave it empty: one is made"
        problems.append(Problem("the key is too short to sign with", f"{where}: secret_key", remedy))
    return problems


def _redis_problems(redis: RedisConfig, where: str) -> list[Problem]:
    if redis.url.startswith("fake:"):
        remedy = "leave it empty for the embedded server, or give redis://, rediss:// or unix://"
        return [Problem("fake:// exists in tests only", f"{where} url", remedy)]
    problems: list[Problem] = []
    scheme = redis.url.partition("://")[0]
    if redis.url:
        try:
            RedisUrl.read(redis.url, f"{where} url")
        except ConfigError as error:
            problems += error.problems
    if not scheme.startswith("rediss"):
        remedy = "begin the URL with rediss, or remove the key"
        problems += [
            Problem("it has no effect: the URL is not one for TLS", f"{where} {key}", remedy)
            for key in ("tls_ca", "tls_cert", "tls_key")
            if getattr(redis, key) is not None
        ]
    if redis.tls_key is not None and redis.tls_cert is None:
        problems.append(Problem("the key has no certificate", f"{where} tls_key", "set tls_cert too"))
    if (redis.sentinel_username or redis.sentinel_password) and not scheme.endswith("+sentinel"):
        remedy = "begin the URL with redis+sentinel, or remove the key"
        problems.append(Problem("it has no effect: the URL names no Sentinels", f"{where} sentinel_password", remedy))
    return problems


def _absolute(path: Path, base: Path) -> Path:
    path = path.expanduser()
    return path if path.is_absolute() else base / path
