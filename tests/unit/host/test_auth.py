"""The door: users, passwords, the signed cookie, the lock after too many failures."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest
from argon2 import PasswordHasher
from itsdangerous import URLSafeSerializer
from sqlalchemy import select

from recyclic.core.auth import COOKIE, FAILURE_SECONDS, MAX_FAILURES, SESSION_SECONDS, Auth, UserError
from recyclic.core.database import Database
from recyclic.core.http import ApiError
from recyclic.core.migration import locations
from recyclic.core.module_loader import ModuleRegistry
from recyclic.core.permissions import Level, Section, User
from recyclic.core.tables import host_user
from recyclic.errors import PermissionDeniedError

pytestmark = pytest.mark.slow  # argon2 takes its time on purpose

PASSWORD = "a long password"
CHEAP = PasswordHasher(time_cost=1, memory_cost=64)


class StandingClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = 1_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
async def auth(tmp_path, clock) -> AsyncIterator[Auth]:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'db.sqlite3'}")
    await database.upgrade(locations(ModuleRegistry()))
    yield Auth(database, "s" * 40, clock, CHEAP)
    await database.close()


async def stored_hash(database: Database) -> str:
    async with database.unit_of_work(read_only=True) as uow:
        return (await uow.session.execute(select(host_user.c.password_hash))).scalar_one()


class TestUsers:
    async def test_are_kept_with_what_they_may_do(self, auth):
        added = await auth.add_user("  Ana   Blé ", PASSWORD, {"caisse": "write", Section.USERS: Level.READ})
        assert added.name == "Ana Blé"
        (user,) = await auth.users()
        assert user == added
        assert user.may("caisse", "write")
        assert user.may("caisse", "read")
        assert not user.may("caisse", "admin")
        assert not user.may("accounting", "read")
        assert user.may("accounting", "none")

    @pytest.mark.parametrize("other", ["ana", "ANA", " Ana", "Ａｎａ"])
    async def test_two_spellings_of_a_name_are_one_user(self, auth, other):
        await auth.add_user("Ana", None, {"caisse": "read"})
        with pytest.raises(UserError, match="already"):
            await auth.add_user(other, None, {"caisse": "read"})

    @pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\x00b", "a\x1b[31mb"])
    async def test_unusable_names_are_refused(self, auth, name):
        with pytest.raises(UserError):
            await auth.add_user(name, None, {"caisse": "read"})

    @pytest.mark.parametrize("password", ["", "short", "x" * 1025])
    async def test_unusable_passwords_are_refused(self, auth, password):
        with pytest.raises(UserError, match="8 to 1024"):
            await auth.add_user("Ana", password, {"caisse": "read"})

    async def test_passwords_are_stored_as_argon2_only(self, auth, tmp_path):
        await auth.add_user("Ana", PASSWORD, {"caisse": "read"})
        await auth.database.close()
        stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert b"$argon2id$" in stored
        assert PASSWORD.encode() not in stored

    async def test_unknown_users_are_told(self, auth):
        for change in [auth.remove_user("x"), auth.set_password("x", PASSWORD), auth.set_permissions("x", {})]:
            with pytest.raises(UserError, match="there is no user x"):
                await change

    async def test_the_administrator_is_made_once(self, auth):
        one = await auth.administrator()
        assert one == await auth.administrator()
        assert one.is_administrator
        assert all(one.may(section, "admin") for section in Section)

    def test_require_raises_what_is_answered_as_403(self):
        user = User("1", "Ana", {Section.CAISSE: Level.READ})
        user.require("caisse", "read")
        with pytest.raises(PermissionDeniedError, match="needs write in caisse"):
            user.require("caisse", "write")


class TestSignIn:
    async def test_the_right_password_opens(self, auth):
        await auth.add_user("Ana", PASSWORD, {"caisse": "write"})
        user, cookie = await auth.sign_in("ANA", PASSWORD)
        assert user.name == "Ana"
        assert cookie

    @pytest.mark.parametrize(
        ("name", "password"), [("Ana", "wrong"), ("Nobody", PASSWORD), ("Machine", ""), ("Machine", "!")]
    )
    async def test_everything_else_is_the_same_error(self, auth, name, password):
        await auth.add_user("Ana", PASSWORD, {"caisse": "write"})
        await auth.add_user("Machine", None, {"caisse": "write"})
        with pytest.raises(ApiError) as caught:
            await auth.sign_in(name, password)
        assert (caught.value.status, caught.value.code) == (401, "bad_credentials")

    async def test_it_takes_the_same_work_whether_the_user_exists_or_not(self, auth, monkeypatch):
        await auth.add_user("Ana", PASSWORD, {"caisse": "write"})
        await auth.add_user("Machine", None, {"caisse": "write"})
        verified = []
        real = auth._matches
        monkeypatch.setattr(
            auth, "_matches", lambda hashed, password: verified.append(hashed) or real(hashed, password)
        )
        for name in ["Ana", "Nobody", "Machine"]:
            with pytest.raises(ApiError):
                await auth.sign_in(name, "wrong")
        assert len(verified) == 3
        assert len({hashed.split("$")[3] for hashed in verified}) == 1, "same parameters"

    async def test_it_does_not_hold_up_other_requests(self, auth):
        await auth.add_user("Ana", PASSWORD, {"caisse": "write"})
        task = asyncio.create_task(auth.sign_in("Ana", PASSWORD))
        longest = 0.0
        while not task.done():
            before = time.perf_counter()
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - before)
        assert longest < 0.5

    async def test_ten_failures_lock_the_name_for_five_minutes(self, auth, clock):
        await auth.add_user("Ana", PASSWORD, {"caisse": "write"})
        for _ in range(MAX_FAILURES):
            with pytest.raises(ApiError) as caught:
                await auth.sign_in("ana", "wrong")
            assert caught.value.code == "bad_credentials"
            clock.time += 1
        with pytest.raises(ApiError) as caught:
            await auth.sign_in("Ana", PASSWORD)
        assert (caught.value.status, caught.value.code) == (429, "too_many_attempts")
        assert caught.value.headers == {"Retry-After": str(FAILURE_SECONDS - MAX_FAILURES)}
        clock.time += FAILURE_SECONDS
        assert (await auth.sign_in("Ana", PASSWORD))[0].name == "Ana"

    async def test_names_without_a_user_are_locked_alike(self, auth):
        codes = []
        for _ in range(MAX_FAILURES + 1):
            with pytest.raises(ApiError) as caught:
                await auth.sign_in("Nobody", "wrong password")
            codes.append(caught.value.code)
        assert codes == ["bad_credentials"] * MAX_FAILURES + ["too_many_attempts"]

    async def test_many_attempts_at_once_do_not_slip_through_together(self, auth, monkeypatch):
        tried = []
        monkeypatch.setattr(auth, "_matches", lambda hashed, password: tried.append(password) or False)
        attempts = [auth.sign_in("Ana", f"guess {number}") for number in range(40)]
        errors = await asyncio.gather(*attempts, return_exceptions=True)
        assert len(tried) == MAX_FAILURES
        assert [error.code for error in errors].count("too_many_attempts") == 30

    async def test_the_lock_holds_over_processes(self, auth, clock):
        other = Auth(auth.database, "s" * 40, clock, CHEAP)
        for _ in range(MAX_FAILURES):
            with pytest.raises(ApiError):
                await auth.sign_in("Ana", "wrong")
        with pytest.raises(ApiError, match="Too many"):
            await other.sign_in("Ana", "wrong")

    async def test_a_success_forgives_what_went_before(self, auth):
        await auth.add_user("Ana", PASSWORD, {"caisse": "write"})
        for _ in range(2):
            for _ in range(MAX_FAILURES - 1):
                with pytest.raises(ApiError):
                    await auth.sign_in("Ana", "wrong")
            await auth.sign_in("Ana", PASSWORD)

    async def test_a_hash_of_weaker_parameters_is_replaced_at_the_next_sign_in(self, auth, clock):
        await auth.add_user("Ana", PASSWORD, {"caisse": "write"})
        stronger = Auth(auth.database, "s" * 40, clock, PasswordHasher(time_cost=2, memory_cost=64))
        before = stronger._hasher.check_needs_rehash(await stored_hash(auth.database))
        await stronger.sign_in("Ana", PASSWORD)
        assert (before, stronger._hasher.check_needs_rehash(await stored_hash(auth.database))) == (True, False)
        await stronger.sign_in("Ana", PASSWORD)

    async def test_other_names_are_not_locked(self, auth):
        await auth.add_user("Ana", PASSWORD, {"caisse": "write"})
        for _ in range(MAX_FAILURES):
            with pytest.raises(ApiError):
                await auth.sign_in("Ben", "wrong")
        await auth.sign_in("Ana", PASSWORD)


class TestOverHttp:
    async def test_sign_in_use_and_sign_out(self, run_host):
        async with run_host() as host:
            await host.app.state.auth.add_user("Ana", PASSWORD, {"caisse": "write"})
            body = {"name": "Ana", "password": PASSWORD}
            response = await host.http.post("/api/auth/sign-in", json=body)
            assert response.status_code == 200
            assert response.json() == {"user": {"name": "Ana", "permissions": {"caisse": "write"}}}
            cookie = response.headers["set-cookie"]
            assert cookie.startswith(f"{COOKIE}=")
            assert "HttpOnly" in cookie
            assert "SameSite=lax" in cookie
            assert "Path=/" in cookie
            assert "Secure" not in cookie
            assert (await host.http.get("/api/auth/me")).json() == response.json()
            assert (await host.http.post("/api/auth/sign-out")).status_code == 204
            assert (await host.http.get("/api/auth/me")).status_code == 401

    async def test_over_https_the_cookie_is_secure(self, run_host):
        async with run_host() as host:
            await host.app.state.auth.add_user("Ana", PASSWORD, {"caisse": "write"})
            body = {"name": "Ana", "password": PASSWORD}
            response = await host.http.post("https://shop.test/api/auth/sign-in", json=body)
            assert "Secure" in response.headers["set-cookie"]

    async def test_wrong_credentials_set_no_cookie(self, run_host):
        async with run_host() as host:
            response = await host.http.post("/api/auth/sign-in", json={"name": "Ana", "password": "x"})
            assert (response.status_code, response.json()["error"]["code"]) == (401, "bad_credentials")
            assert "set-cookie" not in response.headers

    @pytest.mark.parametrize("body", [{}, {"name": "a"}, {"name": 1, "password": []}, [], {"name": "", "password": ""}])
    async def test_input_that_does_not_fit_is_422(self, run_host, body):
        async with run_host() as host:
            assert (await host.http.post("/api/auth/sign-in", json=body)).status_code == 422

    async def test_a_password_is_never_repeated_in_an_answer(self, run_host):
        async with run_host() as host:
            response = await host.http.post("/api/auth/sign-in", json={"name": "x" * 500, "password": "hushhush"})
            assert response.status_code == 422
            assert "hushhush" not in response.text


class TestCookie:
    @pytest.fixture
    async def host(self, run_host):
        async with run_host() as host:
            yield host

    async def me(self, host, value: str) -> int:
        host.http.cookies.clear()
        headers = {"Cookie": f"{COOKIE}={value}"}
        return (await host.http.get("/api/auth/me", headers=headers)).status_code

    async def test_a_good_one_opens(self, host):
        user = await host.app.state.auth.add_user("Ana", None, {"caisse": "read"})
        assert await self.me(host, host.app.state.auth.cookie_for(user)) == 200

    async def test_forged_and_damaged_ones_do_not(self, host, config):
        auth = host.app.state.auth
        user = await auth.add_user("Ana", None, {"caisse": "read"})
        good = auth.cookie_for(user)
        content = {"u": user.id, "k": user.session_key, "t": 9e9}
        forged = [
            good.replace(".", ".x"),
            "x" + good,
            good.partition(".")[0],
            URLSafeSerializer("x" * 40, salt="recyclic.session").dumps(content),
            URLSafeSerializer(config.secret(), salt="another").dumps(content),
            URLSafeSerializer(config.secret(), salt="recyclic.session").dumps([]),
            URLSafeSerializer(config.secret(), salt="recyclic.session").dumps({"u": user.id}),
            URLSafeSerializer(config.secret(), salt="recyclic.session").dumps({**content, "t": "x"}),
            URLSafeSerializer(config.secret(), salt="recyclic.session").dumps({**content, "k": "x"}),
            URLSafeSerializer(config.secret(), salt="recyclic.session").dumps({**content, "k": "é"}),
            json.dumps(content).replace('"', "").replace(" ", ""),
            "x" * 10_000,
            "...",
        ]
        for value in forged:
            assert await self.me(host, value) == 401, value[:80]

    async def test_it_ends_after_a_working_day(self, host):
        auth = host.app.state.auth
        user = await auth.add_user("Ana", None, {"caisse": "read"})
        auth.clock = StandingClock()
        value = auth.cookie_for(user)
        auth.clock.time += SESSION_SECONDS - 1
        assert await self.me(host, value) == 200
        auth.clock.time += 2
        assert await self.me(host, value) == 401

    async def test_another_password_or_removal_ends_it(self, host):
        auth = host.app.state.auth
        user = await auth.add_user("Ana", PASSWORD, {"caisse": "read"})
        value = auth.cookie_for(user)
        await auth.set_password("Ana", "another password")
        assert await self.me(host, value) == 401
        _, value = await auth.sign_in("Ana", "another password")
        assert await self.me(host, value) == 200
        await auth.remove_user("Ana")
        assert await self.me(host, value) == 401
