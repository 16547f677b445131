"""The events that the till publishes."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import ConfigDict, JsonValue

from recyclic.core.events.event import Event

_DAYS: list[JsonValue] = [
    {
        "register_name": "Caisse 1",
        "deferred": False,
        "ticket_count": 12,
        "sales_cents": 18450,
        "donations_cents": 500,
        "total_cents": 18950,
        "payments": {"cash": 9950, "card": 6500, "check": 2500},
        "opening_float_cents": 5000,
        "theoretical_cash_cents": 14950,
        "counted_cash_cents": 14950,
        "variance_cents": 0,
        "variance_comment": "",
    },
    {
        "register_name": "Caisse 2",
        "deferred": False,
        "ticket_count": 7,
        "sales_cents": 6320,
        "donations_cents": 0,
        "total_cents": 6320,
        "payments": {"cash": 4320, "card": 2000, "check": 0},
        "opening_float_cents": 5000,
        "theoretical_cash_cents": 9320,
        "counted_cash_cents": 9180,
        "variance_cents": -140,
        "variance_comment": "erreur de rendu",
    },
    {
        "register_name": "Cahier",
        "deferred": True,
        "ticket_count": 3,
        "sales_cents": 1900,
        "donations_cents": 200,
        "total_cents": 2100,
        "payments": {"cash": 2100, "card": 0, "check": 0},
        "opening_float_cents": 0,
        "theoretical_cash_cents": 2100,
        "counted_cash_cents": 2100,
        "variance_cents": 0,
        "variance_comment": "",
    },
]
"""Amounts that fit together, for payloads that are made from the schema; ids and times are not among them."""


class SaleClosed(Event):
    """A till session was closed: its count is made and it can no longer change.

    Published once per session, with the transaction that closes it. Every amount is in integer cents.

    - `sales_cents` is the sum of the tickets' lines, refunds deducted; `donations_cents` what was given on top;
      `total_cents` is both.
    - `payments` holds the net amount by means, always under `cash`, `card` and `check`; they make `total_cents`.
    - `theoretical_cash_cents` is the float plus the cash payments; `variance_cents` is counted minus theoretical.
    - `business_date` is the day in the shop's time zone; for a `deferred` session (entered from a paper notebook) the
      notebook's day. `opened_at` and `closed_at` are the moments of entry, in UTC.
    """

    model_config = ConfigDict(json_schema_extra={"examples": _DAYS})

    session_id: str
    register_id: str
    register_name: str
    operator: str
    business_date: date
    opened_at: datetime
    closed_at: datetime
    deferred: bool
    ticket_count: int
    sales_cents: int
    donations_cents: int
    total_cents: int
    payments: dict[str, int]
    opening_float_cents: int
    theoretical_cash_cents: int
    counted_cash_cents: int
    variance_cents: int
    variance_comment: str
