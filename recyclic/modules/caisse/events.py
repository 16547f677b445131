"""The events that the till publishes."""

from __future__ import annotations

from datetime import date, datetime

from recyclic.core.events.event import Event


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
