"""A sequence as Mermaid's `sequenceDiagram`, which GitHub, GitLab and many editors draw."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from recyclic.testing.timeline import seconds

if TYPE_CHECKING:
    from recyclic.testing.sequence import Message, Sequence

_LONGEST = 160
_CONTROL = re.compile(r"[^\S ]|[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_SPECIAL = re.compile(r"[#;<>%$\\`]|:(?! )")
_ALSO_COLONS = re.compile(r"[#;<>%$\\`:]")
_WRAP = re.compile(r"\s*(?:no)?wrap:", re.IGNORECASE)
"""What Mermaid would take for a directive at the beginning of a text."""


def to_mermaid(shown: Sequence) -> str:
    """Return the diagram's text; every name and message is escaped."""
    names = {participant: f"p{number}" for number, participant in enumerate(shown.participants, 1)}
    lines = ["sequenceDiagram"]
    lines += [f"    participant {name} as {escaped(participant)}" for participant, name in names.items()]
    if not names:
        lines += ["    participant p1 as host"]
        names = {"": "p1"}
    everyone = ",".join(dict.fromkeys([next(iter(names.values())), list(names.values())[-1]]))
    at = 0.0
    for message in shown.messages:
        if message.at > at:
            at = message.at
            lines.append(f"    Note over {everyone}: +{seconds(at)}")
        lines.append(f"    {_message(message, names, everyone)}")
    if not shown.messages:
        lines.append(f"    Note over {everyone}: nothing happened")
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return text that Mermaid shows as it is: on one line, with what has a meaning there as entities."""
    text = _CONTROL.sub(" ", text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
    special = _ALSO_COLONS if _WRAP.match(text) else _SPECIAL
    return special.sub(lambda found: f"#{ord(found[0])};", text).strip() or "…"


def _message(message: Message, names: dict[str, str], everyone: str) -> str:
    if not message.target:
        return f"Note over {everyone}: {escaped(message.text)}"
    arrow = "--x" if message.failed else "->>"
    return f"{names[message.source]}{arrow}{names[message.target]}: {escaped(message.text)}"
