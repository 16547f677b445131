"""RedisUrl: what a Redis URL says: one server, the master that Sentinels name, or a Cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from recyclic.errors import ConfigError, Problem
from recyclic.nearest import nearest

Topology = Literal["standalone", "sentinel", "cluster"]

SETTING = "[redis] url"

EXAMPLES = (
    "write redis://host:6379/0, rediss://… for TLS, unix:///path/to/redis.sock, "
    "redis+sentinel://host1:26379,host2:26379/master-name/0, or redis+cluster://host1:6379,host2:6379"
)

_ESCAPES = "write / as %2F, ? as %3F, # as %23, @ as %40"

_SCHEMES: dict[str, tuple[Topology, int]] = {
    "redis": ("standalone", 6379),
    "rediss": ("standalone", 6379),
    "unix": ("standalone", 0),
    "redis+sentinel": ("sentinel", 26379),
    "rediss+sentinel": ("sentinel", 26379),
    "redis+cluster": ("cluster", 6379),
    "rediss+cluster": ("cluster", 6379),
}
"""Scheme → topology and default port; `rediss` is TLS."""


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A URL taken apart. `hosts` are Sentinels, or some nodes of a Cluster; `master` is the Sentinels' name of it."""

    topology: Topology
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    username: str | None
    password: str | None
    master: str
    database: int

    @classmethod
    def read(cls, url: str, where: str = SETTING) -> RedisUrl:
        """Take `url` apart.

        Raises:
            ConfigError: with everything that is wrong with it; a password is never in the text.
        """
        scheme, separator, rest = url.partition("://")
        if not separator:
            raise ConfigError(Problem("this is not a URL", where, EXAMPLES))
        if scheme not in _SCHEMES:
            remedy = nearest(scheme, _SCHEMES)
            raise ConfigError(Problem(f"{scheme}:// is no way to a Redis", where, f"{remedy}; {EXAMPLES}"))
        topology, port = _SCHEMES[scheme]
        credentials, at, place = rest.rpartition("@")
        username, _, password = credentials.partition(":")
        if scheme == "unix":
            return cls(topology, False, (), username or None, unquote(password) or None, "", 0)
        places, _, path = place.partition("?")[0].partition("/")
        problems: list[Problem] = []
        if set(credentials) & set("/?#@"):
            problems.append(
                Problem("the user or the password holds a character with a meaning in URLs", where, _ESCAPES)
            )
        named = places.split(",") if places else []
        hosts = tuple(_host(text, port, number, where, problems) for number, text in enumerate(named, 1))
        master, database = _path(topology, path, where, problems)
        if not hosts and topology != "standalone":
            problems.append(Problem("no host is named", where, EXAMPLES))
        if topology == "standalone" and len(hosts) > 1:
            problems.append(Problem(f"{scheme}:// takes one host", where, EXAMPLES))
        if topology != "standalone" and "?" in place:
            problems.append(Problem(f"{scheme}:// takes no ?options", where, "the other keys of [redis] say the rest"))
        if problems:
            raise ConfigError(problems)
        user = unquote(username) or None if at else None
        secret = unquote(password) or None if at else None
        return cls(topology, scheme.startswith("rediss"), hosts, user, secret, master, database)


def without_password(url: str) -> str:
    """Return the URL as it may be shown: no credentials, and no options, which can hold some."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2].partition('?')[0]}"


def _host(text: str, default: int, number: int, where: str, problems: list[Problem]) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port == 0:
        remedy = "a port is a number from 1 to 65535, an IPv6 address stands in brackets"
        problems.append(Problem(f"host {number} cannot be used: it is not host or host:port", where, remedy))
        return "", 0
    return host, port or default


def _path(topology: Topology, path: str, where: str, problems: list[Problem]) -> tuple[str, int]:
    """Return the master's name and the database's number."""
    parts = [unquote(part) for part in path.split("/") if part]
    master = ""
    if topology == "sentinel":
        master = parts.pop(0) if parts else ""
        if not master or master.isdecimal():
            remedy = "name it after the hosts: redis+sentinel://host1:26379,host2:26379/master-name/0"
            problems.append(Problem("the name under which the Sentinels know the master is missing", where, remedy))
            return "", 0
    text = parts[0] if parts else "0"
    if len(parts) > 1 or not text.isdecimal():
        problems.append(Problem("the database is not a number", where, EXAMPLES))
        return master, 0
    if topology == "cluster" and int(text):
        problems.append(Problem("a Cluster has no databases but 0", where, "leave the number out"))
    return master, int(text)
