"""The report: medians with their spread, and our ratio to each peer beside the target."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.bus.rounds import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One column. `digits` after the point; `up` says that more is better."""

    name: str
    title: str
    unit: str
    up: bool


FIGURES = (
    Figure(name="consumed", title="consume + ack", unit="/s", up=True),
    Figure(name="concurrent_emits", title="100 emits at once", unit="/s", up=True),
    Figure(name="sequential_emits", title="emits, one by one", unit="/s", up=True),
    Figure(name="one_process_p50", title="p50, one process", unit="µs", up=False),
    Figure(name="one_process_p99", title="p99, one process", unit="µs", up=False),
    Figure(name="cpu", title="CPU for 100 000", unit="s", up=False),
    Figure(name="cpu_redis", title="of Redis", unit="s", up=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What issue 3 asks: our figure, over the peer's, is at least (or for times at most) `bound`."""

    figure: str
    peer: str
    bound: float


TARGETS = (
    Target(figure="consumed", peer="raw", bound=0.8),
    Target(figure="consumed", peer="faststream", bound=30.0),
    Target(figure="concurrent_emits", peer="faststream", bound=8.0),
    Target(figure="sequential_emits", peer="raw", bound=0.95),
    Target(figure="one_process_p50", peer="faststream", bound=0.6),
    Target(figure="one_process_p99", peer="faststream", bound=0.8),
)


def table(results: Results, titles: dict[str, str]) -> str:
    """Return every median, with the lowest and highest round, as a Markdown table."""
    figures = [figure for figure in FIGURES if any(figure.name in values for values in results.values())]
    rows = [["", *(f"{figure.title}, {figure.unit}" for figure in figures)]]
    for name, values in results.items():
        rows.append([titles[name], *(_cell(values.get(figure.name, ())) for figure in figures)])
    return _markdown(rows)


def targets(results: Results) -> str:
    """Return each target with what was reached, as a Markdown table."""
    rows = [["ours against", "figure", "ratio", "rounds", "target", ""]]
    for target in TARGETS:
        figure = next(figure for figure in FIGURES if figure.name == target.figure)
        ratios = _ratios(results, target.figure, target.peer)
        if ratios:
            reached = statistics.median(ratios)
            met = reached >= target.bound if figure.up else reached <= target.bound
            sign = "≥" if figure.up else "≤"
            spread = f"{min(ratios):.2f}–{max(ratios):.2f}"
            rows.append(
                [
                    target.peer,
                    figure.title,
                    f"{reached:.2f}×",
                    spread,
                    f"{sign} {target.bound}×",
                    "" if met else "missed",
                ]
            )
    return _markdown(rows) if len(rows) > 1 else ""


def _ratios(results: Results, figure: str, peer: str) -> list[float]:
    """Return ours over the peer's, round by round: neighbours in time share the machine's mood."""
    ours, theirs = results.get("ours", {}).get(figure, []), results.get(peer, {}).get(figure, [])
    return [mine / other for mine, other in zip(ours, theirs, strict=False) if other]


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "–"
    middle = _number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({_number(min(values))}–{_number(max(values))})"


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def _markdown(rows: list[list[str]]) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
