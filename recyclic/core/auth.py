"""Auth: who the users are, how they sign in, and the signed cookie that says who asks."""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
import uuid
from collections.abc import Mapping
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from starlette.requests import HTTPConnection

from recyclic.core.clock import Clock
from recyclic.core.database import Database
from recyclic.core.http import ApiError
from recyclic.core.permissions import Level, Section, User, administrator_permissions, read_permissions
from recyclic.core.tables import host_sign_in_failure as failures
from recyclic.core.tables import host_user as users
from recyclic.errors import Problem, RecyclicError

COOKIE = "recyclic_session"
SESSION_SECONDS = 12 * 3600
"""A working day: then one signs in again."""
MAX_FAILURES = 10
FAILURE_SECONDS = 300
MAX_PASSWORD = 1024
MIN_PASSWORD = 8
ADMINISTRATOR = "administrator"
_NO_PASSWORD = "!"  # noqa: S105 - no hash, so nothing verifies against it


class UserError(RecyclicError):
    """Raised when a user cannot be added, changed or found."""


class Auth:
    """The door of one host. Works on the database; users and failed attempts are shared by all its processes."""

    def __init__(self, database: Database, secret: str, clock: Clock, hasher: PasswordHasher | None = None) -> None:
        self.database = database
        self.clock = clock
        self._serializer = URLSafeSerializer(secret, salt="recyclic.session")
        self._hasher = hasher or PasswordHasher()
        self._hashing = asyncio.Semaphore(2)  # each takes 64 MiB
        self._decoy: str | None = None

    # -- users --------------------------------------------------------------------------------------------------------

    async def add_user(self, name: str, password: str | None, permissions: Mapping[Any, Any]) -> User:
        """Add a user. Without a password nobody can sign in as this user; `cookie_for` works all the same.

        Raises:
            UserError: the name is taken or unusable, the password is too short, or a section or level is unknown.
        """
        name = " ".join(name.split())
        if not name or len(name) > 100 or not name.isprintable():
            raise UserError(Problem("this cannot be a user's name", remedy="use 1 to 100 visible characters"))
        granted = {Section(section): Level(level) for section, level in permissions.items()}
        hashed = _NO_PASSWORD if password is None else await self._hash(password)
        user = User(str(uuid.uuid4()), name, granted, secrets.token_urlsafe(16))
        row = {
            "id": user.id,
            "name": name,
            "name_key": name_key(name),
            "password_hash": hashed,
            "permissions": {str(section): str(level) for section, level in granted.items()},
            "session_key": user.session_key,
            "created_at": self.clock.now(),
        }
        try:
            async with self.database.unit_of_work() as uow:
                await uow.session.execute(insert(users).values(row))
        except IntegrityError as error:
            raise UserError(Problem(f"there is a user {name} already", remedy="choose another name")) from error
        return user

    async def users(self) -> list[User]:
        """Return all users, by name."""
        async with self.database.unit_of_work(read_only=True) as uow:
            rows = await uow.session.execute(select(users).order_by(users.c.name_key))
            return [_user(row) for row in rows]

    async def set_password(self, name: str, password: str) -> None:
        """Give a user another password and end the user's sessions."""
        hashed = await self._hash(password)
        await self._change(name, password_hash=hashed, session_key=secrets.token_urlsafe(16))

    async def set_permissions(self, name: str, permissions: Mapping[Any, Any]) -> None:
        """Replace what a user may do; holds from the user's next request."""
        granted = {str(Section(section)): str(Level(level)) for section, level in permissions.items()}
        await self._change(name, permissions=granted)

    async def remove_user(self, name: str) -> None:
        """Remove a user and so end the user's sessions."""
        async with self.database.unit_of_work() as uow:
            result = await uow.session.execute(
                delete(users).where(users.c.name_key == name_key(name)).returning(users.c.id)
            )
            if result.first() is None:
                raise _unknown(name)

    async def administrator(self) -> User:
        """Return a user who may do everything, made without a password if there is none."""
        for user in await self.users():
            if user.permissions == administrator_permissions():
                return user
        return await self.add_user(ADMINISTRATOR, None, administrator_permissions())

    async def _change(self, name: str, **values: Any) -> None:
        async with self.database.unit_of_work() as uow:
            statement = update(users).where(users.c.name_key == name_key(name)).values(**values).returning(users.c.id)
            if (await uow.session.execute(statement)).first() is None:
                raise _unknown(name)

    # -- signing in ---------------------------------------------------------------------------------------------------

    async def sign_in(self, name: str, password: str) -> tuple[User, str]:
        """Return the user and the cookie's value.

        Takes the same time whether the user exists or not.

        Raises:
            ApiError: 401 `bad_credentials`, or 429 `too_many_attempts` after 10 failures in 5 minutes.
        """
        key = name_key(name)
        attempt = await self._begin_attempt(key)
        async with self.database.unit_of_work(read_only=True) as uow:
            row = (await uow.session.execute(select(users).where(users.c.name_key == key))).first()
        if not await self._verify(row.password_hash if row else _NO_PASSWORD, password) or row is None:
            raise ApiError(401, "bad_credentials", "The name or the password is wrong.")
        rehashed = await self._hash(password) if self._hasher.check_needs_rehash(row.password_hash) else None
        async with self.database.unit_of_work() as uow:
            await uow.session.execute(delete(failures).where(failures.c.name_key == key, failures.c.id <= attempt))
            if rehashed:
                await uow.session.execute(update(users).where(users.c.id == row.id).values(password_hash=rehashed))
        user = _user(row)
        return user, self.cookie_for(user)

    async def _begin_attempt(self, key: str) -> int:
        """Count the attempt as failed before it is tried, so that many at once cannot slip through together."""
        now = self.clock.now()
        async with self.database.unit_of_work() as uow:
            await uow.session.execute(delete(failures).where(failures.c.failed_at < now - FAILURE_SECONDS))
            statement = select(func.count(), func.min(failures.c.failed_at)).where(failures.c.name_key == key)
            count, first = (await uow.session.execute(statement)).one()
            if count < MAX_FAILURES:
                statement_2 = insert(failures).values(name_key=key, failed_at=now).returning(failures.c.id)
                return int((await uow.session.execute(statement_2)).scalar_one())
        wait = max(1, round(first + FAILURE_SECONDS - now))
        text = "Too many attempts for this name. Try again later."
        raise ApiError(429, "too_many_attempts", text, headers={"Retry-After": str(wait)})

    def cookie_for(self, user: User) -> str:
        """Return the value of the cookie that signs `user` in, without a password."""
        until = self.clock.now() + SESSION_SECONDS
        return str(self._serializer.dumps({"u": user.id, "k": user.session_key, "t": until}))

    async def user_of(self, connection: HTTPConnection) -> User | None:
        """Return whose cookie a request carries; None without one, or with one that is forged, old or ended."""
        value = connection.cookies.get(COOKIE)
        if not value or len(value) > 4096:
            return None
        try:
            content = self._serializer.loads(value)
            user_id, session_key, until = str(content["u"]), str(content["k"]), float(content["t"])
        except (BadSignature, KeyError, TypeError, ValueError):
            return None
        if until < self.clock.now():
            return None
        async with self.database.unit_of_work(read_only=True) as uow:
            row = (await uow.session.execute(select(users).where(users.c.id == user_id))).first()
        if row is None or not secrets.compare_digest(row.session_key.encode(), session_key.encode()):
            return None
        return _user(row)

    # -- passwords ----------------------------------------------------------------------------------------------------

    async def _hash(self, password: str) -> str:
        if len(password) < MIN_PASSWORD or len(password) > MAX_PASSWORD:
            what = f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters"
            raise UserError(Problem(what, remedy="choose another one"))
        async with self._hashing:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def _verify(self, hashed: str, password: str) -> bool:
        async with self._hashing:
            if self._decoy is None:
                self._decoy = await asyncio.to_thread(self._hasher.hash, secrets.token_urlsafe(16))
            real = hashed != _NO_PASSWORD
            verified = await asyncio.to_thread(self._matches, hashed if real else self._decoy, password)
            return verified and real

    def _matches(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False


def name_key(name: str) -> str:
    """Return what two spellings of one name have in common."""
    return unicodedata.normalize("NFKC", " ".join(name.split())).casefold()[:200]


def _user(row: Row[Any]) -> User:
    return User(row.id, row.name, read_permissions(row.permissions), row.session_key)


def _unknown(name: str) -> UserError:
    return UserError(Problem(f"there is no user {name}", remedy="see: recyclic users list"))
