"""Sections and levels, the user who holds them, and the guard in front of every module route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from recyclic.core.http import ApiError
from recyclic.errors import PermissionDeniedError, Problem


class Section(StrEnum):
    """A part of the shop that a user may be given a level in."""

    CAISSE = "caisse"
    USERS = "users"
    ACCOUNTING = "accounting"
    DOCUMENTS = "documents"
    WEB = "web"
    CONNECT = "connect"
    CONFIG = "config"


class Level(StrEnum):
    """How much a user may do in a section; each level includes the ones before it."""

    NONE = "none"
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Return the level's place in the order none, read, write, admin."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who has signed in. A section without an entry has level `none`."""

    id: str
    name: str
    permissions: Mapping[Section, Level] = field(default_factory=dict)
    session_key: str = field(default="", repr=False, compare=False)

    def may(self, section: Section | str, level: Level | str) -> bool:
        """Return whether the user holds at least `level` in `section`."""
        return self.permissions.get(Section(section), Level.NONE).rank >= Level(level).rank

    @property
    def is_administrator(self) -> bool:
        """Return whether the user is `admin` in the section `config`."""
        return self.may(Section.CONFIG, Level.ADMIN)

    def require(self, section: Section | str, level: Level | str) -> None:
        """Raise PermissionDeniedError unless the user holds at least `level` in `section`."""
        if not self.may(section, level):
            what = f"{self.name} may not do this: it needs {Level(level)} in {Section(section)}"
            raise PermissionDeniedError(Problem(what, remedy="ask an administrator"))


def administrator_permissions() -> dict[Section, Level]:
    """Return `admin` in every section."""
    return dict.fromkeys(Section, Level.ADMIN)


def read_permissions(raw: Mapping[str, str]) -> dict[Section, Level]:
    """Turn `{"caisse": "write"}` into sections and levels; unknown ones, of a newer version, give nothing."""
    sections, levels = {str(section) for section in Section}, {str(level) for level in Level}
    return {Section(key): Level(value) for key, value in raw.items() if key in sections and value in levels}


async def current_user(connection: HTTPConnection) -> User:
    """Return who is signed in; answers 401 `not_signed_in` where nobody is."""
    user = await optional_user(connection)
    if user is None:
        raise ApiError(401, "not_signed_in", "Sign in first.")
    return user


async def optional_user(connection: HTTPConnection) -> User | None:
    """Return who is signed in, or None."""
    if "user" not in connection.scope:
        connection.scope["user"] = await connection.app.state.auth.user_of(connection)
    user: User | None = connection.scope["user"]
    return user


CurrentUser = Annotated[User, Depends(current_user)]
OptionalUser = Annotated[User | None, Depends(optional_user)]
