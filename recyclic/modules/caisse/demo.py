"""Sample data, played over HTTP: a busy day at two tills, and a paper notebook that is imported."""

from __future__ import annotations

import random
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import httpx

API = "/api/modules/caisse"
SAMPLES = files("recyclic.modules.caisse") / "samples"
TICKETS = 150
MISSING_CENTS = 140
"""By this much the count of the first till is short."""

_GOODS = (
    ("Livre", "Roman de poche", 100, 250),
    ("DVD", "DVD", 200, 120),
    ("T-shirt", "T-shirt", 200, 180),
    ("Jupe longue, robe, pantalon, pull", "Pull en laine", 500, 420),
    ("Chaussures", "Paire de chaussures", 400, 800),
    ("Plat", "Plat à tarte", 350, 900),
    ("Verre", "Verre à pied", 50, 150),
    ("Lampe", "Lampe de chevet", 800, 1300),
    ("Bouilloire", "Bouilloire électrique", 700, 1100),
    ("Puzzle", "Puzzle 500 pièces", 150, 600),
    ("Vélo enfant", "Vélo 16 pouces", 1500, 9500),
    ("Petit meuble / chaise en bois massif", "Chaise paillée", 1250, 4800),
)


async def busy_day(http: httpx.AsyncClient, *, seed: int = 2025) -> list[dict[str, Any]]:
    """Play a day at two tills and return their closed sessions as the API answered.

    150 tickets in cash, by card and by cheque, some paid in two ways, some with a donation, some given away; one item
    comes back; the first till's count is 1,40 € short. The same seed plays the same day, to the cent. `http` is signed
    in with level `write` in the section `caisse`.
    """
    sheet = (SAMPLES / "categories-2025.csv").read_bytes()
    await _post(http, "/categories/import", content=sheet)
    registers = {register["name"]: register for register in (await _get(http, "/registers"))}
    sessions = []
    for name, opening in (("Caisse 1", 10_000), ("Caisse 2", 7_550)):
        register = registers.get(name) or await _post(http, "/registers", json={"name": name})
        if left := register["open_session"]:  # an earlier run was interrupted
            theoretical = (await _get(http, f"/sessions/{left['id']}"))["theoretical_cash_cents"]
            await _post(http, f"/sessions/{left['id']}/close", json={"counted_cash_cents": theoretical})
        body = {"register_id": register["id"], "opening_float_cents": opening}
        sessions.append(await _post(http, "/sessions", json=body))
    tickets = []
    for number, body in enumerate(_tickets(seed)):
        session = sessions[number % 2]["id"]
        ticket = {**body, "client_id": f"demo-{session}-{number}"}
        tickets.append(await _post(http, f"/sessions/{session}/tickets", json=ticket))
    await _take_back(http, sessions[0]["id"], tickets)
    first = await _close(http, sessions[0]["id"], -MISSING_CENTS, "1,40 € manquent, sans doute une erreur de rendu")
    return [first, await _close(http, sessions[1]["id"], 0, "")]


async def notebook(http: httpx.AsyncClient, content: bytes, filename: str) -> dict[str, Any]:
    """Import a paper notebook and return the report; one that was imported before returns the report it has."""
    response = await http.post(f"{API}/import", content=content, params={"filename": filename})
    if response.status_code == 409:
        known = response.json()["error"]["details"]["import_id"]
        return dict(await _get(http, f"/imports/{known}"))
    response.raise_for_status()
    return dict(response.json())


async def play(http: httpx.AsyncClient) -> str:
    """Play the whole sample: the busy day, and a real shop's notebook, whose doubtful lines are left to decide."""
    sessions = await busy_day(http)
    name = "till-notebook-2025-09.csv"
    report = await notebook(http, (SAMPLES / name).read_bytes(), name)
    total = sum(session["total_cents"] for session in sessions)
    return (
        f"caisse: {len(sessions)} sessions, {sum(session['ticket_count'] for session in sessions)} tickets, "
        f"{total // 100},{total % 100:02} €; a notebook of {report['rows']} lines, {report['held']} of them to decide"
    )


def _tickets(seed: int) -> Iterator[dict[str, Any]]:
    """Yield the day's tickets, in the order in which they are sold."""
    chance = random.Random(seed)  # noqa: S311  the same day every time is what is wanted
    for number in range(TICKETS):
        kind = "donation" if number % 37 == 36 else "gift" if number % 15 == 7 else "sale"
        lines = [] if kind == "donation" else [_line(chance, kind) for _ in range(chance.randint(1, 4))]
        donation = chance.choice((200, 500, 1000, 2000)) if kind == "donation" else 0
        if kind == "sale" and chance.random() < 0.12:
            donation = chance.choice((50, 100, 200))
        total = sum(line["quantity"] * line["unit_price_cents"] for line in lines) + donation
        yield {"lines": lines, "payments": _payments(chance, total), "donation_cents": donation}


def _line(chance: random.Random, kind: str) -> dict[str, Any]:
    category, label, price, grams = chance.choice(_GOODS)
    quantity = chance.choice((1, 1, 1, 2, 3)) if price < 500 else 1
    return {
        "category_name": category,
        "label": label,
        "quantity": quantity,
        "weight_grams": quantity * grams + chance.randint(-20, 20),
        "unit_price_cents": 0 if kind == "gift" else price,
    }


def _payments(chance: random.Random, total: int) -> list[dict[str, Any]]:
    if total == 0:
        return [{"method": "free", "amount_cents": 0}]
    methods = chance.choices((("cash",), ("card",), ("check",), ("cash", "card")), weights=(11, 5, 2, 2))[0]
    if len(methods) == 2 and total > 500:
        return [{"method": "cash", "amount_cents": 500}, {"method": "card", "amount_cents": total - 500}]
    if methods[0] == "cash":
        return [{"method": "cash", "amount_cents": total, "tendered_cents": -(-total // 500) * 500}]
    return [{"method": methods[0], "amount_cents": total}]


async def _take_back(http: httpx.AsyncClient, session: str, tickets: list[dict[str, Any]]) -> None:
    """One customer of the first till brings a piece back and is paid in cash."""
    ticket = next(
        ticket
        for ticket in tickets[TICKETS // 2 :]
        if ticket["session_id"] == session and [payment["method"] for payment in ticket["payments"]] == ["cash"]
        and ticket["lines"]
    )  # fmt: skip
    body = {
        "session_id": session,
        "method": "cash",
        "reason": "rapporté : ne convient pas",
        "lines": [{"line_id": ticket["lines"][0]["id"], "quantity": 1}],
        "client_id": f"demo-{session}-refund",
    }
    await _post(http, f"/tickets/{ticket['id']}/refund", json=body)


async def _close(http: httpx.AsyncClient, session: str, off: int, comment: str) -> dict[str, Any]:
    theoretical = (await _get(http, f"/sessions/{session}"))["theoretical_cash_cents"]
    body = {"counted_cash_cents": theoretical + off, "variance_comment": comment}
    return dict(await _post(http, f"/sessions/{session}/close", json=body))


async def _get(http: httpx.AsyncClient, path: str) -> Any:
    response = await http.get(f"{API}{path}")
    return response.raise_for_status().json()


async def _post(http: httpx.AsyncClient, path: str, **request: Any) -> Any:
    response = await http.post(f"{API}{path}", **request)
    return response.raise_for_status().json()
