"""`recyclic simulate`: watch an event travel through an isolated host, with faults, and read the verdict."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from recyclic.cli.check import needs_the_kit
from recyclic.cli.options import ConfigFile, load_config
from recyclic.errors import Problem, RecyclicError

if TYPE_CHECKING:
    from recyclic.testing.simulate import Happening, Outcome, Reach, Simulation, Watcher

_STYLES = {"emitted": "cyan", "handled": "green", "failed": "yellow", "dead": "bold red"}
_RECENT = 12


class Backend(StrEnum):
    """Where the simulated events travel."""

    FAKE = "fake"
    SERVER = "server"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("simulate")(simulate)


def simulate(
    event: Annotated[str, typer.Argument(help="The event to emit, for example sale_closed.")],
    *,
    times: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many events to emit.")] = 1,
    fail: Annotated[list[str] | None, typer.Option(help="MODULE=N: its first N handlings fail.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same payloads.")] = 0,
    modules: Annotated[str, typer.Option(help="Modules to boot, a,b; by default every enabled one.")] = "",
    payload: Annotated[str, typer.Option(help="A JSON object: these fields, the others are made.")] = "",
    backend: Annotated[Backend, typer.Option(help="A private real server, or an in-process fake.")] = Backend.SERVER,
    config: ConfigFile = None,
) -> None:
    """Emit events in an isolated host and show what travels, who handles it, and whether all arrived.

    Nothing of the installation is touched. Ends with 0 when every event reached everyone who handles it exactly once,
    1 when not, 2 when it could not be run.
    """
    loaded = load_config(config)
    needs_the_kit()
    from recyclic.testing.simulate import Simulation  # noqa: PLC0415 - other commands do not need it
    from recyclic.testing.simulate import simulate as run  # noqa: PLC0415 - as above

    simulation = Simulation(
        event=event,
        times=times,
        fail=_failures(fail or []),
        seed=seed,
        modules=tuple(name.strip() for name in modules.split(",") if name.strip()),
        payload=_payload(payload),
        backend=backend.value,
    )
    console = Console(highlight=False)
    with _view(console, simulation) as watcher:
        outcome = asyncio.run(run(loaded, simulation, watcher))
    _print_summary(outcome, console)
    raise typer.Exit(outcome.exit_code)


def _failures(texts: list[str]) -> dict[str, int]:
    failures: dict[str, int] = {}
    for text in texts:
        module, _, count = text.partition("=")
        if not module or not count.isascii() or not count.isdigit():
            raise RecyclicError(
                Problem(f"--fail {text} cannot be read", remedy="write MODULE=N, as in --fail paheko=2")
            )
        failures[module.strip()] = int(count[:9])
    return failures


def _payload(text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecyclicError(
            Problem(f"--payload is no JSON: {error}", remedy="write an object: '{\"field\": 1}'")
        ) from error
    if not isinstance(value, dict):
        raise RecyclicError(Problem("--payload is no JSON object", remedy="write an object: '{\"field\": 1}'"))
    return value


@contextmanager
def _view(console: Console, simulation: Simulation) -> Iterator[Watcher]:
    """Yield who shows what happens: a live table on a terminal, plain lines elsewhere."""
    if not console.is_terminal:
        yield lambda each: console.print(_line(each), soft_wrap=True)
        return
    picture = _Picture(simulation)
    with Live(picture, console=console, refresh_per_second=12, transient=True):
        yield picture.take


class _Picture:
    """The live view: a row for each module and event, and the last lines."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._emitted = 0
        self._rows: dict[tuple[str, str], dict[str, int]] = {}
        self._recent: deque[Text] = deque(maxlen=_RECENT)

    def take(self, happening: Happening) -> None:
        """Take in one thing that happened."""
        if happening.kind == "emitted":
            self._emitted += happening.event == self._simulation.event
        else:
            row = self._rows.setdefault((happening.event, happening.module), {})
            row[happening.kind] = row.get(happening.kind, 0) + 1
        self._recent.append(_line(happening))

    def __rich__(self) -> Group:
        table = Table("event", "module", "handled", "failed", "dead", box=box.SIMPLE_HEAD, title_justify="left")
        table.title = f"{self._simulation.event}: {self._emitted} of {self._simulation.times} emitted"
        for (event, module), row in self._rows.items():
            table.add_row(event, module, *(str(row.get(kind, 0)) for kind in ("handled", "failed", "dead")))
        return Group(table, *self._recent)


def _line(each: Happening) -> Text:
    """Return one line: when, what, which event, who."""
    line = Text(f"{each.at:8.3f} s  ")
    line.append(f"{each.kind:<8}", style=_STYLES[each.kind])
    who = f"by {each.module}" if each.kind == "emitted" else f"in {each.module}, attempt {each.attempt}"
    line.append(f" {each.event} {each.id[-8:]} {who}")
    if each.detail:
        line.append(f": {each.detail}", style="dim")
    return line


def _print_summary(outcome: Outcome, console: Console) -> None:
    from recyclic.testing.simulate import percentile  # noqa: PLC0415 - as in simulate

    ways: list[Reach] = [reach for reach in outcome.reaches.values() if outcome.emitted.get(reach.event)]
    table = Table("event", "emitted", "module", "consumed", "retried", "dead", "latency", box=box.SIMPLE_HEAD)
    table.padding = (0, 1)
    for column in table.columns:
        column.no_wrap = True
    table.caption = "latency from emission to handled: p50/p95/p99 in ms"
    for event, ids in outcome.emitted.items():
        mine = [reach for reach in ways if reach.event == event]
        if not mine:
            table.add_row(event, str(len(ids)), "nobody", *["–"] * 4)
        for reach in mine:
            latency = "/".join(f"{percentile(reach.seconds, share) * 1000:.0f}" for share in (0.5, 0.95, 0.99))
            counts = (sum(reach.handled.values()), reach.retried, len(reach.dead))
            table.add_row(event, str(len(ids)), reach.name, *map(str, counts), latency)
    console.print(table)
    seed = outcome.simulation.seed
    console.print(f"{outcome.seconds:.2f} s on {outcome.backend}, seed {seed}", style="dim", soft_wrap=True)
    style = "bold green" if outcome.reached else "bold red"
    for line in outcome.verdict:
        console.print(Text(line, style=style), soft_wrap=True)
