"""The sequence of a story, as Mermaid and as a picture."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from recyclic.core.events.event import Envelope
from recyclic.testing.journal import Journal, Kind
from recyclic.testing.mermaid import escaped, to_mermaid
from recyclic.testing.picture import to_svg
from recyclic.testing.sequence import Message, Sequence, sequence

SVG = "{http://www.w3.org/2000/svg}"


def envelope(event: str, event_id: str, source: str = "caisse", **data) -> Envelope:
    return Envelope(id=event_id, event=event, source=source, time=datetime(2025, 9, 17, tzinfo=UTC), data=data)


def closing() -> Journal:
    """A click closes a till; accounting fails once, then writes an entry that nobody gets."""
    now = 100.0
    journal = Journal(lambda: now)
    click = journal.click("click button named 'Clore' in /modules/caisse (fr)")
    journal.write(Kind.REQUEST, key="r1", text="POST /api/modules/caisse/sessions/a/close", cause=click)
    sale = envelope("sale_closed", "e1", session_id="a")
    journal.emitted(sale, "1-0")
    journal.write(Kind.RESPONSE, key="r1", text="200")
    journal.delivered(sale, "paheko", "paheko_sync", 1)
    journal.failed(sale, "paheko", "paheko_sync", 1, ConnectionError("accounting is away; #1"), 1.0)
    now = 101.0
    journal.delivered(sale, "paheko", "paheko_sync", 2)
    journal.emitted(envelope("entry_written", "e2", "paheko"), "1-0")
    journal.handled(sale, "paheko", "paheko_sync", 2, 0.01)
    journal.write(Kind.REQUEST, key="r2", text="GET /api/ui")
    journal.note("the worker is killed")
    return journal


def test_mermaid_shows_who_sent_what_to_whom():
    assert to_mermaid(sequence(closing().records)).splitlines() == [
        "sequenceDiagram",
        "    participant p1 as browser",
        "    participant p2 as caisse",
        "    participant p3 as paheko",
        "    participant p4 as client",
        "    participant p5 as host",
        "    p1->>p1: click button named 'Clore' in /modules/caisse (fr)",
        "    p1->>p2: POST /api/modules/caisse/sessions/a/close → 200",
        "    p2->>p3: sale_closed",
        "    p3--xp2: ConnectionError: accounting is away#59; #35;1, again in 1 s",
        "    Note over p1,p5: +1 s",
        "    p2->>p3: sale_closed, attempt 2",
        "    p3->>p3: entry_written",
        "    p4--xp5: GET /api/ui → no answer yet",
        "    Note over p1,p5: the worker is killed",
    ]


def test_mermaid_of_nothing_is_a_diagram_too():
    assert to_mermaid(sequence([])).splitlines() == [
        "sequenceDiagram",
        "    participant p1 as host",
        "    Note over p1: nothing happened",
    ]


WORDS = st.sampled_from(
    ["end", "wrap:", "NoWrap: ", "%%{init: {}}%%", "#35;", "style:#x;", ";", "->>", "$$", "<b>", "\n", "\0", "\ud800"]
)
TEXTS = st.lists(st.text(max_size=5) | WORDS, max_size=6).map("".join)


@settings(max_examples=40)
@given(TEXTS)
def test_no_text_leaves_its_line_or_means_something_to_mermaid(text):
    """Held against Mermaid's own grammar: a text ends at `;`, `#` and line ends; what follows is a new statement."""
    shown = escaped(text)
    assert shown == shown.strip() != ""
    assert len(shown.splitlines()) == 1
    shown.encode()
    without = re.sub(r"#\d+;", "", shown)
    assert not set(without) & set("#;<>%$\\`")
    assert not re.match(r"(?i)(no)?wrap:", shown)
    assert not re.search(r":(?! |$)", without)


@settings(max_examples=40)
@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS, st.booleans()), max_size=4))
def test_every_diagram_has_one_statement_a_line(messages):
    arrows = [Message(n, 0.0, text, a, b, failed) for n, (text, a, b, failed) in enumerate(messages) if a and b]
    names = list(dict.fromkeys(end for one in arrows for end in (one.source, one.target)))
    first, *rest = to_mermaid(Sequence(names, arrows)).removesuffix("\n").split("\n")
    assert first == "sequenceDiagram"
    statement = r"    (participant p\d+ as .+|p\d+(->>|--x)p\d+: .+|Note over p\d+(,p\d+)?: .+)"
    assert all(re.fullmatch(statement, line) for line in rest)
    assert len(rest) == len(names or [""]) + len(arrows or [""])


def texts(drawn: str) -> list[str]:
    return [element.text for element in ET.fromstring(drawn).iter(f"{SVG}text")]


def test_the_picture_has_every_participant_message_and_tooltip():
    drawn = to_svg(sequence(closing().records), "act 'close', on fake")
    found = texts(drawn)
    assert found[:6] == ["act 'close', on fake", "browser", "caisse", "paheko", "client", "host"]
    assert "sale_closed, attempt 2" in found
    assert "ConnectionError: accounting is away; #1, again in 1 s" in found
    tooltips = [element.text for element in ET.fromstring(drawn).iter(f"{SVG}title")]
    assert "sale_closed\n{session_id: 'a'}" in tooltips
    broken = [e for e in ET.fromstring(drawn).iter(f"{SVG}line") if e.get("class") == "failed"]
    assert len(broken) == 2


def test_the_picture_needs_no_other_file():
    drawn = to_svg(sequence(closing().records), "x")
    assert not re.search(r"href|@import|url\((?!#)", drawn)
    assert set(re.findall(r"https?://[^\"]+", drawn)) == {"http://www.w3.org/2000/svg"}


@settings(max_examples=40)
@given(TEXTS, TEXTS)
def test_any_text_makes_a_picture(text, name):
    shown = Sequence([name], [Message(1, 0.0, text, name, name, detail=text), Message(2, 0.5, text)])
    ET.fromstring(to_svg(shown, text).encode())


def test_a_long_story_is_cut_in_the_middle():
    journal = Journal(lambda: 0.0)
    for number in range(1000):
        journal.emitted(envelope(f"event_{number}", str(number)), f"{number}-0")
    drawn = texts(to_svg(sequence(journal.records), "x"))
    assert {"event_0", "event_999", "… 600 more …"} <= set(drawn)
    assert "event_500" not in drawn
