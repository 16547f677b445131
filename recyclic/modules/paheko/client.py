"""PahekoClient: the few calls that Recyclic makes to Paheko's HTTP API, with every answer judged."""

from __future__ import annotations

from typing import Any

import httpx

from recyclic.modules.paheko.entries import Entry
from recyclic.modules.paheko.errors import PahekoRefusedError, PahekoUnavailableError
from recyclic.modules.paheko.settings import PahekoSettings

_NOT_NOW = (401, 403, 408, 425, 429)
_AT_WORK = (502, 503, 504)  # a gateway gave up; Paheko may still be at work behind it


class PahekoClient:
    """Talks to one Paheko. It follows no redirects, repeats nothing, and keeps no connection open between calls.

    Every call raises `PahekoUnavailableError` or `PahekoRefusedError` where the answer is not 200 with the JSON it
    should have.
    """

    def __init__(self, settings: PahekoSettings) -> None:
        self._settings = settings
        self._open: httpx.AsyncClient | None = None

    @property
    def _http(self) -> httpx.AsyncClient:
        """The connection, made when it is first needed: reading the certificates takes longer than all of a start."""
        if self._open is None:
            self._open = httpx.AsyncClient(
                base_url=f"{self._settings.url}/api/",
                auth=(self._settings.user, self._settings.password.get_secret_value()),
                timeout=self._settings.timeout,
                follow_redirects=False,
                trust_env=False,  # the books go where config.toml says, not where a proxy variable or .netrc points
                proxy=self._settings.proxy or None,
                limits=httpx.Limits(max_keepalive_connections=0),  # a kept one may be dead: doubt for nothing
            )
        return self._open

    async def close(self) -> None:
        """Close what is open."""
        if self._open is not None:
            await self._open.aclose()

    async def find_transactions(self, reference: str) -> list[int]:
        """Return the ids of the transactions with this reference, oldest first. More than one is a doubled entry."""
        where = f"reference = {quoted(reference)}"
        rows = await self._select(f"SELECT id FROM acc_transactions WHERE {where} ORDER BY id")  # noqa: S608 - quoted
        return [_id(row) for row in rows]

    async def book(self, entry: Entry) -> int:
        """Save an entry and return its id. Paheko does not look whether it has it: a second call makes a second one."""
        body = entry.body(self._settings.id_year)
        return _id(await self._ask("POST", "accounting/transaction", json=body))

    async def find_users(self, *, name: str, email: str | None, number: str | None) -> list[dict[str, Any]]:
        """Return the members that have this name, email or number."""
        wanted = [f"nom = {quoted(name)} COLLATE NOCASE"]
        if email:
            wanted.append(f"email = {quoted(email)} COLLATE NOCASE")
        if number:
            wanted.append(f"CAST(numero AS TEXT) = {quoted(number)}")
        where = " OR ".join(wanted)
        return await self._select(f"SELECT id, numero, nom, email FROM users WHERE {where} ORDER BY id")  # noqa: S608 - quoted

    async def add_user(self, fields: dict[str, Any]) -> int:
        """Save a member and return its id."""
        return _id(await self._ask("POST", "user/new", json=fields))

    async def _select(self, sql: str) -> list[dict[str, Any]]:
        try:
            answer = await self._ask("GET", "sql", params={"sql": sql})
        except PahekoRefusedError as refused:
            raise PahekoUnavailableError(f"Paheko cannot be looked into: {refused.text}") from refused
        rows = answer.get("results")
        if not isinstance(rows, list):
            raise PahekoUnavailableError("Paheko answered a look-up without results")
        return rows

    async def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            response = await self._http.request(method, path, **options)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise PahekoUnavailableError(f"Paheko cannot be reached: {_reason(error)}") from error
        except httpx.RequestError as error:
            what = f"no answer came from Paheko: {_reason(error)}"
            raise PahekoUnavailableError(what, outcome_unknown=True) from error
        return _judge(response)


def quoted(text: str) -> str:
    """Write `text` as an SQL string; the `sql` endpoint takes no parameters."""
    return "'" + text.replace("'", "''").replace("\0", "") + "'"


def _judge(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON of a 200; raise for anything else."""
    status = response.status_code
    if response.is_redirect:
        where = response.headers.get("location", "")
        remedy = "an administrator has to sign in to Paheko and run its upgrade" if "upgrade" in where else "check url"
        raise PahekoUnavailableError(f"Paheko redirects to {where}: {remedy}")
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        text = " ".join(response.text.split())[:120]
        unknown = status in _AT_WORK or response.is_success
        raise PahekoUnavailableError(f"Paheko answered {status} and no JSON: {text}", outcome_unknown=unknown)
    if status == httpx.codes.OK:
        return answer
    text = str(answer.get("error", answer))
    if response.is_client_error and status not in _NOT_NOW:
        raise PahekoRefusedError(status, text)
    unknown = status in _AT_WORK or response.is_success
    raise PahekoUnavailableError(f"Paheko answered {status}: {text}", outcome_unknown=unknown)


def _id(answer: dict[str, Any]) -> int:
    found = answer.get("id")
    if type(found) is not int:
        raise PahekoUnavailableError(f"Paheko answered without an id: {str(answer)[:120]}", outcome_unknown=True)
    return found


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
