"""A busy day at two registers, every kind of ticket, a count that is off: the books are right to the cent."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from recyclic.modules.caisse.demo import busy_day

FIRST = ({"530": 671_60, "5112": 88_50, "5115": 278_50, "658": 1_40}, {"7073": 1020_50, "7541": 19_50})
SECOND = ({"530": 589_50, "5112": 158_00, "5115": 230_50}, {"7073": 948_50, "7541": 29_50})
"""Debits and credits by account, in cents: cash as counted, cheques, cards, shortage; sales less the refund, gifts."""


@pytest.mark.slow
@pytest.mark.modules("caisse", "members", "barcodes", "paheko")
async def test_a_busy_day_at_two_registers_is_booked_to_the_cent(module_host, paheko_server):
    """150 tickets in cash, by cheque and by card, gifts, donations, a refund, and 1,40 € that are missing."""
    async with module_host.act("a busy day") as trace:
        sessions = await busy_day(module_host.http)

    trace.emitted("sale_closed", variance_cents=-1_40, total_cents=1040_00).once()
    trace.emitted("sale_closed", variance_cents=0, total_cents=978_00).once()
    trace.consumed("sale_closed", by="paheko").ok(attempts=1)
    trace.emitted("entry_written").times(2)

    entries = {entry.reference: entry for entry in paheko_server.entries()}
    assert set(entries) == {f"RECYCLIC-session-{session['id']}" for session in sessions}
    for session, (debits, credits_) in zip(sessions, (FIRST, SECOND), strict=True):
        entry = entries[f"RECYCLIC-session-{session['id']}"]
        assert (entry.debits, entry.credits) == (debits, credits_)
        assert sum(entry.debits.values()) == sum(entry.credits.values())
        assert entry.date == date.fromisoformat(session["business_date"])


@pytest.mark.slow
@pytest.mark.modules("caisse", "members", "barcodes", "paheko")
async def test_the_day_has_every_kind_of_ticket(module_host, paheko_server):
    """What the books were made of: summed from the tickets themselves, not from the sessions' totals."""
    async with module_host.act("a busy day"):
        sessions = await busy_day(module_host.http)
    tickets = []
    for session in sessions:
        answer = await module_host.http.get(f"/api/modules/caisse/sessions/{session['id']}/tickets")
        assert answer.json()["next"] is None
        tickets += answer.json()["items"]
    kinds = Counter(ticket["kind"] for ticket in tickets)
    assert (kinds["sale"] + kinds["donation"], kinds["refund"]) == (150, 1)
    assert kinds["donation"] == 4
    assert sum(1 for ticket in tickets if {payment["method"] for payment in ticket["payments"]} == {"free"}) == 10
    paid = Counter()
    for ticket in tickets:
        assert ticket["total_cents"] == ticket["sales_cents"] + ticket["donation_cents"]
        assert ticket["sales_cents"] == sum(line["total_cents"] for line in ticket["lines"])
        for payment in ticket["payments"]:
            paid[payment["method"]] += payment["amount_cents"]
    assert paid == {"cash": 673_00 + 589_50, "card": 278_50 + 230_50, "check": 88_50 + 158_00, "free": 0}
