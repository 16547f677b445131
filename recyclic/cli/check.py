"""`recyclic check` and `recyclic rule`: the verifier on the command line."""

from __future__ import annotations

import textwrap
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from recyclic.cli.options import ConfigFile, load_config
from recyclic.errors import Problem, RecyclicError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recyclic.config import Config
    from recyclic.testing.contract.engine import OnProgress
    from recyclic.testing.contract.report import Report


class Format(StrEnum):
    """How the report is written."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add both commands to `app`."""
    app.command("check")(check)
    app.command("rule")(rule)


def check(
    modules: Annotated[list[str] | None, typer.Argument(help="Modules to check; by default every enabled one.")] = None,
    *,
    select: Annotated[list[str] | None, typer.Option(help="Check only these rules: RCY404, RCY4, or a,b.")] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Leave these rules out.")] = None,
    report_format: Annotated[
        Format, typer.Option("--format", help="text for people, json for programs.")
    ] = Format.TEXT,
    limit: Annotated[float, typer.Option(min=0.1, help="Seconds that one step of a module may take.")] = 10.0,
    jobs: Annotated[int | None, typer.Option(min=1, help="Modules side by side; by default one per core.")] = None,
    config: ConfigFile = None,
) -> None:
    """Verify that modules keep their contract, from the manifest to the running module.

    Every module runs in a process of its own, with its network cut and with nothing of the shop's data. Ends with 0
    when nothing is broken, 1 when something is, 2 when it could not be checked or nothing was.
    """
    loaded = load_config(config)
    report = _run(loaded, modules or [], select or [], ignore or [], limit, jobs)
    if report_format is Format.JSON:
        from recyclic.testing.contract.json import to_json  # noqa: PLC0415 - as in _run

        typer.echo(to_json(report))
    else:
        from recyclic.testing.contract.text import print_report  # noqa: PLC0415 - as in _run

        print_report(report, Console(highlight=False))
    raise typer.Exit(report.exit_code)


def rule(
    rule_id: Annotated[str | None, typer.Argument(help="The rule to explain; without one all are listed.")] = None,
) -> None:
    """Explain one rule of the verifier, or list them all."""
    needs_the_kit()
    from recyclic.testing.contract.rule import all_rules, find_rule  # noqa: PLC0415 - as in _run

    console = Console(highlight=False)
    if rule_id is None:
        table = Table("rule", "severity", "family", "name")
        for each in all_rules():
            table.add_row(each.id, str(each.severity), each.family, each.name)
        console.print(table)
        return
    found = find_rule(rule_id)
    console.print(f"{found.id} {found.name} ({found.severity}, {found.family})", style="bold", soft_wrap=True)
    for title, text in (("Why", found.why), ("Remedy", found.remedy)):
        console.print(textwrap.fill(f"{title}: {text}", width=min(console.width, 100)), soft_wrap=True, markup=False)
    excuse = f'[checks] ignore = [{{ rule = "{found.id}", reason = "…" }}] in module.toml'
    console.print(f"To make an exception: {excuse}", markup=False, soft_wrap=True)


def needs_the_kit() -> None:
    """Say which extra to install where the kit's packages are missing."""
    import importlib.util  # noqa: PLC0415 - for this question only

    if missing := [name for name in ("fakeredis", "lupa") if importlib.util.find_spec(name) is None]:
        remedy = "install the test kit: pip install 'recyclic[testing]'"
        raise RecyclicError(Problem(f"this needs {' and '.join(missing)}", remedy=remedy))


def _run(
    config: Config, modules: list[str], select: list[str], ignore: list[str], limit: float, jobs: int | None
) -> Report:
    needs_the_kit()
    from recyclic.testing.contract.engine import check as run_check  # noqa: PLC0415 - other commands do not need it
    from recyclic.testing.contract.isolation import WarmParent  # noqa: PLC0415 - as above

    with WarmParent(width=jobs) as parent:
        for on_progress in _progress():
            return run_check(
                config,
                modules=modules,
                select=select,
                ignore=ignore,
                limit=limit,
                parent=parent,
                on_progress=on_progress,
            )
    raise AssertionError("unreachable")


def _progress() -> Iterator[OnProgress]:
    """Yield once, with a status line on a terminal around what is done with it, and nothing elsewhere."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda _phase, _module: None
        return
    with console.status("checking…") as status:
        yield lambda phase, module: status.update(f"checking… {phase} of {module} done")
