"""The trace: questions about a journal, and the text of each broken expectation, line by line."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pytest

from recyclic.core.events.event import Envelope
from recyclic.testing.journal import Journal, Kind
from recyclic.testing.matching import ANY
from recyclic.testing.report import Setting, TraceError
from recyclic.testing.trace import Trace

KNOWN = ["sale_closed", "entry_written", "member_created"]


def envelope(event: str, event_id: str, cause: str | None = None, source: str = "caisse", **data) -> Envelope:
    return Envelope(
        id=event_id,
        event=event,
        source=source,
        time=datetime(2025, 9, 17, tzinfo=UTC),
        data=data,
        correlation_id="r1",
        causation_id=cause,
    )


def refuse():
    raise ConnectionError("accounting is away")


@pytest.fixture
def journal():
    """A till is closed, accounting fails once and then writes its entry."""
    now = 100.0

    def clock():
        return now

    journal = Journal(clock)
    journal.write(Kind.REQUEST, key="r1", text="POST /api/modules/caisse/sessions/a/close")
    sale = envelope("sale_closed", "e1", "r1", session_id="a", total_cents=1800, business_date="2025-09-17")
    journal.emitted(sale, "1-0")
    journal.write(Kind.RESPONSE, key="r1", text="200")
    journal.delivered(sale, "paheko", "paheko_sync", 1)
    with pytest.raises(ConnectionError) as caught:
        refuse()
    journal.failed(sale, "paheko", "paheko_sync", 1, caught.value, 1.0)
    now = 101.0
    journal.delivered(sale, "paheko", "paheko_sync", 2)
    entry = envelope("entry_written", "e2", "e1", "paheko", session_id="a", amount_cents=1800)
    journal.emitted(entry, "1-0")
    journal.handled(sale, "paheko", "paheko_sync", 2, 0.01)
    journal.settled("sale_closed", "paheko_sync", "1-0")
    return journal


@pytest.fixture
def trace(journal):
    trace = Trace(
        journal,
        "act 'close the till'",
        0,
        lambda: Setting("fake (fakeredis 2.40.0)", "pytest tests/test_till.py::test_close"),
        lambda: KNOWN,
    )
    trace.close()
    return trace


def refusal(call) -> list[str]:
    with pytest.raises(TraceError) as caught:
        call()
    return str(caught.value).splitlines()


def test_what_happened_is_found(trace):
    sale = trace.emitted("sale_closed", session_id="a", total_cents=ANY).once()
    assert sale.data["total_cents"] == 1800
    trace.emitted("sale_closed", business_date=date(2025, 9, 17), total_cents=lambda cents: cents > 1000)
    trace.consumed("sale_closed", by="paheko").once().ok(attempts=2).retried_after(1.0).failed(ConnectionError, times=1)
    trace.emitted("entry_written", amount_cents=1800).by("paheko").caused_by(sale)
    trace.order("sale_closed", "entry_written")
    trace.never("member_created")
    trace.never("sale_closed", session_id="b")
    trace.nothing_else()


def test_a_near_miss_is_told_field_by_field_with_the_timeline(trace):
    place = refusal(lambda: trace.emitted("sale_closed", session_id="b", totl_cents=1))
    assert place[:8] == [
        "no sale_closed {session_id: 'b', totl_cents: 1} was emitted; the nearest of 1, by caisse, differs in:",
        "  session_id: wanted 'b'",
        "              got    'a'",
        "  totl_cents: wanted 1",
        "              got    no such field; did you mean 'total_cents'?",
        "  in act 'close the till'",
        "",
        "timeline of act 'close the till', on fake (fakeredis 2.40.0):",
    ]
    here = "tests/kit/test_trace.py"
    line = next(
        i for i, text in enumerate(Path(__file__).read_text().splitlines(), 1) if 'raise ConnectionError("acc' in text
    )
    assert place[8:] == [
        "  +0 s      POST /api/modules/caisse/sessions/a/close → 200",
        "  +0 s        caisse emitted sale_closed {session_id: 'a', total_cents: 1800, business_date: '2025-09-17'}",
        (
            f"  +0 s          paheko (paheko_sync) got sale_closed, attempt 1 → ConnectionError: accounting is away at "
            f"{here}:{line}, again in 1 s"
        ),
        "  +1 s          paheko (paheko_sync) got sale_closed, attempt 2 → ok",
        "  +1 s            paheko emitted entry_written {session_id: 'a', amount_cents: 1800}",
        "outstanding: nothing",
        "rerun: pytest tests/test_till.py::test_close",
    ]


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        (
            lambda t: t.emitted("sale_close"),
            (
                "no booted module declares 'sale_close' (did you mean 'sale_closed'?); "
                "declared: entry_written, member_created, sale_closed"
            ),
        ),
        (
            lambda t: t.emitted("member_created"),
            "no member_created was emitted; emitted were: entry_written, sale_closed",
        ),
        (lambda t: t.emitted("sale_closed").times(2), "sale_closed was emitted once, not twice:"),
        (lambda t: t.never("sale_closed"), "sale_closed was emitted, and never should be:"),
        (
            lambda t: t.consumed("sale_closed", by="barcodes"),
            "no sale_closed was consumed by barcodes; it was consumed by: paheko_sync",
        ),
        (
            lambda t: t.consumed("entry_written"),
            "no entry_written was consumed; it was emitted, but no booted module has a handler for it",
        ),
        (lambda t: t.consumed("member_created"), "no member_created was consumed, nor was it emitted"),
        (lambda t: t.consumed("sale_closed").dead(), "sale_closed is no dead letter: ok at attempt 2"),
        (
            lambda t: t.consumed("sale_closed").retried_after(1, 2),
            "sale_closed was retried after 1 s, not after 1 s, 2 s",
        ),
        (
            lambda t: t.order("entry_written", "sale_closed"),
            "sale_closed did not come after entry_written, but before it",
        ),
        (
            lambda t: t.emitted("sale_closed").caused_by(t.emitted("entry_written")),
            (
                "sale_closed was not caused by entry_written; its causes: "
                "sale_closed ← POST /api/modules/caisse/sessions/a/close"
            ),
        ),
    ],
)
def test_a_broken_expectation_says_what_is_wrong(trace, question, problem):
    assert refusal(lambda: question(trace))[0] == problem


def test_a_near_miss_inside_of_objects_and_lists_names_the_very_field(journal, trace):
    bought = {"lines": [{"label": "Chaise", "price": {"cents": 500, "vat": 20}}], "tags": ["a", "b"], "by": {"id": 7}}
    journal.emitted(envelope("sale_closed", "e5", **bought), "2-0")
    after = Trace(journal, "act", len(journal) - 1, lambda: Setting("fake"), lambda: KNOWN)
    after.emitted("sale_closed", lines=[{"label": ANY, "price": {"cents": lambda cents: cents > 1, "vat": 20}}])
    wanted = {
        "lines": [{"label": "Chaise", "price": {"cents": 600, "vatt": 20}}],
        "tags": ["a"],
        "by": {"id": 8, "name": ANY},
    }
    assert refusal(lambda: after.emitted("sale_closed", **wanted))[1:15] == [
        "  lines[0].price.cents: wanted 600",
        "                        got    500",
        "  lines[0].price.vatt: wanted 20",
        "                       got    no such field; did you mean 'vat'?",
        "  lines[0].price.vat: wanted no such field",
        "                      got    20",
        "  tags: wanted ['a']",
        "        got    ['a', 'b']: 2 items, not 1",
        "  by.id: wanted 8",
        "         got    7",
        "  by.name: wanted ANY",
        "           got    no such field",
        "  in act",
        "",
    ]


def test_a_chain_of_causes_goes_from_click_to_request_to_event_to_event(journal):
    start = len(journal)
    click = journal.click("click button named 'Clore' in /modules/caisse (fr)")
    journal.write(Kind.REQUEST, key="r2", text="POST /api/modules/caisse/sessions/b/close", cause=click)
    journal.emitted(envelope("sale_closed", "e6", "r2", session_id="b"), "3-0")
    journal.emitted(envelope("entry_written", "e7", "e6", "paheko"), "3-0")
    journal.emitted(envelope("member_created", "e8", "e7", "members"), "3-0")
    after = Trace(journal, "act", start, lambda: Setting("fake"), lambda: KNOWN)
    last = after.emitted("member_created")
    request = httpx.Request("POST", "http://testserver/", headers={"x-request-id": "r2"})
    last.caused_by(after.emitted("entry_written")).caused_by(after.emitted("sale_closed")).caused_by(request)
    last.caused_by(httpx.Response(200, headers={"X-Request-Id": "r2"})).caused_by(after.clicked("Clore").once())
    assert str(after).splitlines()[1:6] == [
        "  +1 s      click button named 'Clore' in /modules/caisse (fr)",
        "  +1 s        POST /api/modules/caisse/sessions/b/close → no answer yet",
        "  +1 s          caisse emitted sale_closed {session_id: 'b'}",
        "  +1 s              paheko emitted entry_written {}",
        "  +1 s                  members emitted member_created {}",
    ]
    whole = Trace(journal, "act", 0, lambda: Setting("fake"), lambda: KNOWN)
    other = whole.emitted("sale_closed", session_id="a")
    assert refusal(lambda: other.caused_by(after.clicked()))[0] == (
        "sale_closed {session_id: 'a'} was not caused by click button named 'Clore' in /modules/caisse (fr); "
        "its causes: sale_closed ← POST /api/modules/caisse/sessions/a/close"
    )


def test_a_request_that_was_not_sent_by_the_kit_is_no_cause(trace):
    request = httpx.Request("GET", "http://testserver/")
    assert refusal(lambda: trace.emitted("sale_closed").caused_by(request))[0] == (
        "<Request('GET', 'http://testserver/')> has no x-request-id: give a request that a client of the kit has sent"
    )


def test_clicks_are_found_by_a_part_of_their_line(journal, trace):
    assert refusal(lambda: trace.clicked("Clore"))[0] == "a click with 'Clore' was not made; nothing was done"
    start = len(journal)
    journal.click("click button named 'Clore' in page")
    journal.click("press Enter in page")
    after = Trace(journal, "act", start, lambda: Setting("fake"), lambda: KNOWN)
    assert after.clicked("Enter").once().texts == ["press Enter in page"]
    assert refusal(lambda: after.clicked("Ouvrir"))[:3] == [
        "a click with 'Ouvrir' was not made; done were:",
        "  click button named 'Clore' in page",
        "  press Enter in page",
    ]
    assert refusal(lambda: after.clicked("in page").once())[:3] == [
        "a click with 'in page' was done 2 times, not once:",
        "  click button named 'Clore' in page",
        "  press Enter in page",
    ]
    after.nothing_else()


def test_what_happened_can_be_shown(trace, capsys):
    trace.show()
    assert capsys.readouterr().out == f"{trace}\n"
    assert trace.to_mermaid().startswith("sequenceDiagram\n")
    assert "act &apos;" not in trace.to_svg()
    assert "act 'close the till', on fake (fakeredis 2.40.0)" in trace.to_svg()


def test_attempts_that_differ_are_listed(trace):
    first = refusal(lambda: trace.consumed("sale_closed").ok(attempts=1))[0]
    assert first.startswith("sale_closed took 2 attempts, not 1 attempt: attempt 1 ConnectionError: accounting is away")


def test_what_nobody_asserted_is_something_else(trace):
    trace.emitted("sale_closed")
    assert refusal(trace.nothing_else)[:3] == [
        "something else happened:",
        "  paheko emitted entry_written {session_id: 'a', amount_cents: 1800}",
        "  paheko_sync consumed sale_closed: ok at attempt 2",
    ]


def test_a_later_event_is_not_part_of_the_trace(journal, trace):
    journal.emitted(envelope("member_created", "e3"), "1-0")
    trace.never("member_created")


def test_a_dead_worker_ends_its_calls(journal, trace):
    sale = envelope("sale_closed", "e9", session_id="c")
    journal.emitted(sale, "9-0")
    journal.delivered(sale, "paheko", "paheko_sync", 1)
    journal.worker_died()
    journal.delivered(sale, "paheko", "paheko_sync", 2)
    journal.handled(sale, "paheko", "paheko_sync", 2, 0.0)
    after = Trace(journal, "act", 0, lambda: Setting("fake"), lambda: KNOWN)
    after.consumed("sale_closed", session_id="c").ok(attempts=2).delivered(2)
    assert any(text.endswith("attempt 1 → its worker died") for text in str(after).splitlines())


def test_an_entry_that_nobody_could_take_is_a_dead_letter(journal):
    sale = envelope("sale_closed", "e9", session_id="c")
    journal.emitted(sale, "9-0")
    journal.dead("9-0", "sale_closed", "paheko", "paheko_sync", 1, "field total_cents is missing")
    after = Trace(journal, "act", 0, lambda: Setting("fake"), lambda: KNOWN)
    after.consumed("sale_closed", by="paheko", session_id="c").dead("total_cents is missing")
