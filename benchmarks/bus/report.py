"""The report: medians with their spread, and our ratio to each peer beside what issue 3 asks for."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bus.rounds import ROOT, Results

DOCUMENT = ROOT / "docs" / "performance.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One column. `up` says that more is better."""

    name: str
    title: str
    up: bool = False


SPEED = (
    Figure(name="consumed", title="consume + ack, events/s", up=True),
    Figure(name="concurrent_emits", title="100 emits at once, events/s", up=True),
    Figure(name="sequential_emits", title="emits one by one, events/s", up=True),
)
LATENCY = (
    Figure(name="p50", title="p50, µs"),
    Figure(name="p99", title="p99, µs"),
    Figure(name="one_p50", title="p50 in one process, µs"),
    Figure(name="one_p99", title="p99 in one process, µs"),
)
COST = (
    Figure(name="cpu_emit", title="CPU s to emit 100 000"),
    Figure(name="cpu_consume", title="CPU s to consume them"),
    Figure(name="cpu_redis", title="CPU s of Redis for both"),
    Figure(name="cpu_at_rate", title="CPU s for 100 000, both sides, at the steady rate"),
)
FIGURES = {figure.name: figure for figure in (*SPEED, *LATENCY, *COST)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is asked for: our figure over the peer's is at least (for times: at most) `bound`."""

    figure: str
    peer: str
    bound: float


TARGETS = (
    Target(figure="consumed", peer="raw", bound=0.8),
    Target(figure="consumed", peer="faststream", bound=30.0),
    Target(figure="concurrent_emits", peer="faststream", bound=8.0),
    Target(figure="sequential_emits", peer="raw", bound=0.95),
    Target(figure="p50", peer="faststream", bound=0.6),
    Target(figure="p99", peer="faststream", bound=0.8),
    Target(figure="one_p50", peer="faststream", bound=0.6),
    Target(figure="one_p99", peer="faststream", bound=0.8),
)


def tables(results: Results, titles: dict[str, str]) -> str:
    """Return the medians, each with its lowest and highest round, and the ratios, as Markdown tables."""
    parts = [_medians(results, titles, figures) for figures in (SPEED, LATENCY, COST)]
    return "\n\n".join(part for part in (*parts, _ratios(results, titles)) if part)


def write(path: Path, target: str, text: str) -> None:
    """Replace what stands between the two markers that a document has for a target of the Makefile.

    Raises:
        ValueError: the document lacks a marker.
    """
    document = path.read_text(encoding="utf-8")
    begin, end = (f"<!-- {edge}: make {target} ARGS=--write -->" for edge in ("begin", "end"))
    before, found, rest = document.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{path} lacks the line {end if found else begin}")
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def add_write(parser: argparse.ArgumentParser) -> None:
    """Give a command the option that `write` is for."""
    what = "put the tables into docs/performance.md, or between the same markers of another file"
    parser.add_argument("--write", type=Path, nargs="?", const=DOCUMENT, metavar="FILE", help=what)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the first row is its head."""
    head, *body = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body))


def spread(values: Sequence[float]) -> str:
    """Return the median, and the lowest and highest where there are several values."""
    if not values:
        return "–"
    middle = number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({number(min(values))}–{number(max(values))})"


def number(value: float) -> str:
    """Return three significant digits, thousands apart."""
    if value >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _medians(results: Results, titles: dict[str, str], figures: Sequence[Figure]) -> str:
    shown = [figure for figure in figures if any(figure.name in values for values in results.values())]
    if not shown:
        return ""
    rows = [["", *(figure.title for figure in shown)]]
    rows += [
        [titles[name], *(spread(values.get(figure.name, ())) for figure in shown)] for name, values in results.items()
    ]
    return markdown(rows)


def _ratios(results: Results, titles: dict[str, str]) -> str:
    """Compare round by round, because neighbours in time share the machine's mood, and take the median."""
    rows = [["figure", "ours over", "median (rounds)", "asked", "reached"]]
    for target in TARGETS:
        figure = FIGURES[target.figure]
        ours, theirs = (results.get(name, {}).get(target.figure, []) for name in ("ours", target.peer))
        ratios = [mine / other for mine, other in zip(ours, theirs, strict=False) if other]
        if not ratios:
            continue
        middle = statistics.median(ratios)
        met = middle >= target.bound if figure.up else middle <= target.bound
        asked = f"{'≥' if figure.up else '≤'} {target.bound:g}×"
        what = figure.title.partition(",")[0]
        rows.append([what, titles[target.peer], spread(ratios), asked, "yes" if met else "no"])
    return markdown(rows) if len(rows) > 1 else ""
