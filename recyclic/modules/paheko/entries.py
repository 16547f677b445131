"""Entry: what a closed till session is in the accounts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import BaseModel

from recyclic.modules.paheko.errors import EntryError
from recyclic.modules.paheko.settings import PahekoSettings

TEXT_BYTES = 200  # Paheko's limit for labels and references, counted in bytes of UTF-8
NOTES_BYTES = 2000
LIMIT_CENTS = 100_000_000_000


class ClosedSession(BaseModel):
    """What `sale_closed` tells of a session, kept until it is booked. Amounts in cents."""

    session_id: str
    business_date: date
    register_name: str
    operator: str
    ticket_count: int
    sales_cents: int
    donations_cents: int
    payments: dict[str, int]
    opening_float_cents: int
    counted_cash_cents: int
    variance_cents: int
    variance_comment: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `cents` above zero is a debit, below zero a credit."""

    account: str
    cents: int
    label: str

    def body(self) -> dict[str, str]:
        """Return the line as Paheko's API takes it: euros as text, never a number and never negative."""
        side = "debit" if self.cents > 0 else "credit"
        return {"account": self.account, side: euros(abs(self.cents)), "label": self.label}


@dataclass(frozen=True, slots=True)
class Entry:
    """One balanced ADVANCED entry."""

    reference: str
    date: date
    label: str
    notes: str
    lines: tuple[Line, ...]

    @property
    def amount_cents(self) -> int:
        """Return the sum of the debit side, which is that of the credit side."""
        return sum(line.cents for line in self.lines if line.cents > 0)

    def body(self, id_year: str) -> dict[str, Any]:
        """Return the JSON body of `POST accounting/transaction`."""
        return {
            "id_year": int(id_year) if id_year.isdigit() else id_year,
            "type": "ADVANCED",
            "date": self.date.isoformat(),
            "label": self.label,
            "reference": self.reference,
            "notes": self.notes,
            "lines": [line.body() for line in self.lines],
        }


def reference_of(session_id: str) -> str:
    """Return the reference that a session has in Paheko, always the same."""
    return f"RECYCLIC-session-{session_id}"


def build_entry(session: ClosedSession, settings: PahekoSettings) -> Entry | None:
    """Turn a closed session into its entry; None if no money moved.

    Debits: the cash that was counted without the float, cheques, cards, a shortage. Credits: sales, donations, a
    surplus. A negative amount, as on a day of refunds, changes sides.

    Raises:
        EntryError: the figures contradict each other, or hold a means of payment without an account.
    """
    payments = {method: cents for method, cents in session.payments.items() if cents and method != "free"}
    if unknown := sorted(payments.keys() - {"cash", "card", "check"}):
        raise EntryError(f"no account is known for payments by {', '.join(unknown)}: book this session by hand")
    cash, variance = payments.get("cash", 0), session.variance_cents
    _check(session, sum(payments.values()), cash)
    lines = tuple(
        line
        for line in (
            Line(settings.cash, cash + variance, "Espèces"),
            Line(settings.check, payments.get("check", 0), "Chèques"),
            Line(settings.card, payments.get("card", 0), "Cartes bancaires"),
            Line(settings.variance_expense, max(0, -variance), "Écart de caisse (manquant)"),
            Line(settings.sales, -session.sales_cents, "Ventes"),
            Line(settings.donations, -session.donations_cents, "Dons"),
            Line(settings.variance_income, -max(0, variance), "Écart de caisse (excédent)"),
        )
        if line.cents
    )
    if not lines:
        return None
    if any(abs(line.cents) >= LIMIT_CENTS for line in lines):
        raise EntryError("an amount is a thousand million euros or more: Paheko takes no such line")
    return Entry(_reference(session), session.business_date, _label(session, settings), _notes(session), lines)


def amount_of(session: ClosedSession, settings: PahekoSettings) -> int | None:
    """Return the sum of either side of a session's entry, 0 where nothing is booked, None where it makes no entry."""
    try:
        entry = build_entry(session, settings)
    except EntryError:
        return None
    return entry.amount_cents if entry is not None else 0


def euros(cents: int) -> str:
    """Write cents as Paheko reads them: 4250 is `42.50`."""
    return f"{cents // 100}.{cents % 100:02d}"


def shortened(text: str, limit: int) -> str:
    """Cut `text` so that it fits into `limit` bytes of UTF-8, with an ellipsis where something is missing."""
    text = " ".join(text.split()) if limit == TEXT_BYTES else text
    raw = text.encode()
    if len(raw) <= limit:
        return text
    return raw[: limit - 3].decode(errors="ignore").rstrip() + "…"


def _check(session: ClosedSession, paid: int, cash: int) -> None:
    owed = session.sales_cents + session.donations_cents
    if paid != owed:
        raise EntryError(
            f"the payments are {_shown(paid)}, sales and donations {_shown(owed)}: "
            "an entry would not balance; compare the session's tickets"
        )
    counted = session.counted_cash_cents - session.opening_float_cents
    if counted != cash + session.variance_cents:
        raise EntryError(
            f"{_shown(counted)} were counted beside the float, cash payments and variance make "
            f"{_shown(cash + session.variance_cents)}: compare the session's count"
        )


def _shown(cents: int) -> str:
    """Write cents for a person: -140 is `-1.40 €`."""
    return f"{'-' if cents < 0 else ''}{euros(abs(cents))} €"


def _reference(session: ClosedSession) -> str:
    reference = reference_of(session.session_id)
    if len(reference.encode()) > TEXT_BYTES:
        raise EntryError(f"the session's id is too long for a reference ({TEXT_BYTES} bytes)")
    return reference


def _label(session: ClosedSession, settings: PahekoSettings) -> str:
    filled = settings.label.format(
        date=f"{session.business_date:%d/%m/%Y}",
        register=session.register_name,
        operator=session.operator,
        session_id=session.session_id,
    )
    return shortened(filled, TEXT_BYTES)


def _notes(session: ClosedSession) -> str:
    tickets = f"{session.ticket_count} ticket{'s' if session.ticket_count > 1 else ''}"
    parts = [f"Session de caisse {session.session_id}", f"{session.register_name}, {session.operator}, {tickets}"]
    if session.variance_comment.strip():
        parts.append(f"Écart : {session.variance_comment.strip()}")
    return shortened("\n".join(parts), NOTES_BYTES)
