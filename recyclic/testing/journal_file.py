"""The journal on disk: one JSON line a record, handed to the system at once, so that it survives a kill -9.

The first line says whose journal it is, the last that the host ended in order. A process that dies while it writes
leaves a torn last line; reading names what cannot be read and goes on.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from recyclic.core.events.event import Envelope
from recyclic.testing.errors import KitError
from recyclic.testing.journal import Kind, Record
from recyclic.testing.story import place_of
from recyclic.testing.workers.carried import CarriedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

VERSION: Final = 1
"""The format's version: what is read must have been written by this one."""

_PLAIN: Final = ("event", "entry_id", "module", "group", "attempt", "retry_in", "text", "key", "cause")
_ENVELOPE: Final = ("subject", "correlation_id", "causation_id", "traceparent")


class JournalFile:
    """A journal's file, made at the first record. Appends only; what cannot be written is told once, in `problem`."""

    def __init__(self, path: Path, heading: Callable[[], Mapping[str, object]]) -> None:
        self.path = path
        self.problem = ""
        self._heading = heading
        self._file: int | None = None

    def append(self, record: Record) -> None:
        """Write a record: when this returns, the system has it."""
        if self._file is None and not self.problem:
            self._open()
        self._write(_values(record))

    def close(self) -> None:
        """Write that the host ended in order."""
        if self._file is None:
            return
        self._write({"ended": True, "pid": os.getpid()})
        os.close(self._file)
        self._file = None

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o644)
        except OSError as error:
            self.problem = f"the journal {self.path} cannot be written: {error}"
            return
        self._write({"journal": VERSION, "pid": os.getpid(), **self._heading()})

    def _write(self, values: Mapping[str, object]) -> None:
        if self._file is None or self.problem:
            return
        line = json.dumps(values, default=str, separators=(",", ":")).encode() + b"\n"
        try:
            while line:
                line = line[os.write(self._file, line) :]
        except OSError as error:
            self.problem = f"the journal {self.path} could not be written to its end: {error}"


@dataclass(frozen=True, slots=True)
class Damage:
    """One line that cannot be read."""

    line: int
    problem: str
    torn: bool = False
    """Whether it is the last line, cut off: its process died while writing."""

    def __str__(self) -> str:
        """Return `line 3: …`."""
        return f"line {self.line}: {self.problem}"


@dataclass(slots=True)
class ReadJournal:
    """What a journal's file holds."""

    heading: dict[str, Any] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    damages: list[Damage] = field(default_factory=list)
    ended: bool = False
    """Whether the host ended in order; if not, its process was killed, or still runs."""


def read_journal(path: Path) -> ReadJournal:
    """Read a journal; damaged lines are named, never raised.

    Raises:
        KitError: the file cannot be opened or read.
    """
    found = ReadJournal()
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                _take(found, number, line)
    except OSError as error:
        raise KitError(f"the journal {path} cannot be read: {error.strerror or error}") from error
    return found


def as_json(record: Record) -> dict[str, Any]:
    """Return a record as it stands in the file."""
    return _values(record)


def _take(found: ReadJournal, number: int, line: bytes) -> None:
    torn = not line.endswith(b"\n")
    try:
        values = json.loads(line)
        if not isinstance(values, dict):
            raise TypeError(f"{type(values).__name__}, not an object")  # noqa: TRY301 - one list of what may be wrong
        if "journal" in values:
            _check_version(values["journal"])
            found.heading = found.heading or values
        elif "ended" in values:
            found.ended = True
        else:
            found.records.append(replace(_record(values), seq=len(found.records) + 1))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        problem = "cut off in the middle: its process died while it wrote" if torn else f"no record: {_why(error)}"
        found.damages.append(Damage(number, problem, torn=torn))


def _check_version(version: object) -> None:
    if version != VERSION:
        raise ValueError(f"a journal of version {version}; this recyclic reads version {VERSION}")


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]!r}"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return str(error) or type(error).__name__


def _values(record: Record) -> dict[str, Any]:
    values: dict[str, Any] = {"seq": record.seq, "at": record.at, "kind": record.kind.value}
    values.update({name: value for name in _PLAIN if (value := getattr(record, name)) not in ("", None)})
    if record.envelope is not None:
        values["envelope"] = dict(_envelope(record.envelope))
    if record.error is not None:
        values["error"] = {
            "type": type(record.error).__name__,
            "text": str(record.error),
            "place": place_of(record.error),
        }
    if record.expected:
        values["expected"] = True
    return values


def _envelope(envelope: Envelope) -> Iterator[tuple[str, object]]:
    yield from (("id", envelope.id), ("event", envelope.event), ("source", envelope.source))
    yield from (("time", envelope.time.isoformat()), ("version", envelope.version), ("data", dict(envelope.data)))
    yield from ((name, value) for name in _ENVELOPE if (value := getattr(envelope, name)) is not None)
    if envelope.replayed:
        yield "replayed", True


def _record(values: dict[str, Any]) -> Record:
    envelope, error = values.get("envelope"), values.get("error")
    plain = {name: values[name] for name in _PLAIN if name in values}
    for name, value in plain.items():
        wanted = {"attempt": int, "retry_in": int | float}.get(name, str)
        if not isinstance(value, wanted):
            raise TypeError(f"{name} is {value!r}")
    return Record(
        seq=int(values["seq"]),
        at=float(values["at"]),
        kind=Kind(values["kind"]),
        envelope=None if envelope is None else _read_envelope(envelope),
        error=None
        if error is None
        else CarriedError(str(error["type"]), str(error["text"]), str(error["place"]), b"").error(),
        expected=bool(values.get("expected")),
        **plain,
    )


def _read_envelope(values: dict[str, Any]) -> Envelope:
    if not isinstance(values["data"], dict):
        raise TypeError(f"data is {values['data']!r}")
    more: dict[str, Any] = {name: str(values[name]) for name in _ENVELOPE if name in values}
    envelope = Envelope(
        id=str(values["id"]),
        event=str(values["event"]),
        source=str(values["source"]),
        time=str(values["time"]),
        version=int(values["version"]),
        data=values["data"],
        replayed=bool(values.get("replayed")),
        **more,
    )
    envelope.time  # noqa: B018 - a time that cannot be read is told here, not where it is first looked at
    return envelope
