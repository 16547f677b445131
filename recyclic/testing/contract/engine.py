"""check(): every enabled module against every rule."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import recyclic
from recyclic.config import Config
from recyclic.core.manifest import Manifest, check_manifest
from recyclic.core.module_dependencies import dependency_problems, group_problems, python_problems
from recyclic.core.module_loader import _outsider_problems as outsider_problems
from recyclic.core.module_source import ModuleSource, discover
from recyclic.errors import ModuleError, Problem
from recyclic.nearest import nearest
from recyclic.testing.contract.case import Case, NotObservedError
from recyclic.testing.contract.finding import Finding
from recyclic.testing.contract.isolation import WarmParent
from recyclic.testing.contract.job import Job, Phase, Sample
from recyclic.testing.contract.observed import Survey
from recyclic.testing.contract.report import Ignored, Report, Unjudged
from recyclic.testing.contract.rule import Evidence, Rule, Selection

LIMIT = 10.0
"""Seconds that one step of a module may take."""

_BUDGET = {"survey": 3.0, "exercise": 12.0}
"""How many limits a whole phase may take."""

OnProgress = Callable[[str, str], None]
"""Called with a phase and a module's id whenever one has ended."""


def check(  # noqa: PLR0913 - each is one thing that whoever checks may want to say
    config: Config,
    *,
    modules: Sequence[str] = (),
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    limit: float = LIMIT,
    sources: Mapping[str, ModuleSource] | None = None,
    frontend: Path | None = None,
    parent: WarmParent | None = None,
    on_progress: OnProgress = lambda _phase, _module: None,
) -> Report:
    """Check `modules`, or every enabled one, and return all that was found.

    A module that is named and not enabled is checked as if it were enabled last. `sources` replaces the search for
    modules. `frontend` is another front end, which may then be built from modules of any origin.

    Raises:
        ConfigError: a selection fits no rule.
        ModuleError: a module is named that does not exist; nothing was checked.
        IsolationError: the processes that the modules run in cannot be started.
    """
    began = time.monotonic()
    selection = Selection.of(select, ignore)
    found = discover(config) if sources is None else dict(sources)
    enabled = tuple(dict.fromkeys([*config.modules.enabled, *modules]))
    _must_exist(enabled, found, config)
    world = _cases(enabled, found, frontend)
    wanted = [world[name] for name in dict.fromkeys(modules or enabled)]
    if selection.needs >= Evidence.SURVEY and wanted:
        with nullcontext(parent) if parent else WarmParent() as warm:
            _gather(config, world, wanted, selection.needs, limit, warm, on_progress)
    return _judge(wanted, selection.rules, time.monotonic() - began)


def _must_exist(names: Sequence[str], found: Mapping[str, ModuleSource], config: Config) -> None:
    where = f"{config.path}: [modules] enabled" if config.path else "[modules] enabled"
    if missing := [name for name in names if name not in found]:
        known = ", ".join(sorted(found)) or "none"
        raise ModuleError(
            [
                Problem(
                    f"there is no module {name!r}",
                    where if name in config.modules.enabled else "",
                    nearest(name, found) or f"there are: {known}",
                )
                for name in missing
            ]
        )


def _cases(enabled: Sequence[str], found: Mapping[str, ModuleSource], frontend: Path | None) -> dict[str, Case]:
    """Read every manifest and let the host say what is wrong between them."""
    world: dict[str, Case] = {}
    manifests: dict[str, Manifest] = {}
    for name in enabled:
        manifest, problems = check_manifest(found[name].manifest_path, name)
        world[name] = Case(name, found[name], manifest, tuple(problems), world, frontend or _frontend())
        if manifest is not None:
            manifests[name] = manifest
    for problem in dependency_problems(manifests, enabled):
        _give(problem, world)
    for problem in group_problems(manifests.values()):
        _give(problem, world)
    for name, manifest in manifests.items():
        outsiders = () if frontend else outsider_problems(found[name], manifest)
        world[name].problems += (*python_problems(manifest), *outsiders)
    return world


def _give(problem: Problem, world: Mapping[str, Case]) -> None:
    """Hand a problem between modules to the module that has it: whose manifest it names, else its first word."""
    for case in world.values():
        if problem.where.startswith(str(case.source.manifest_path)) or problem.what.startswith(f"{case.id} "):
            case.problems += (problem,)
            return


def _frontend() -> Path | None:
    """Return the front end's folder: the checkout's, or the built one inside the wheel."""
    package = Path(recyclic.__file__).parent
    for folder in (package.parent / "frontend", package / "_frontend"):
        if (folder / "src").is_dir() or (folder / "ui-map.json").is_file():
            return folder
    return None


def _gather(
    config: Config,
    world: Mapping[str, Case],
    wanted: Sequence[Case],
    needs: Evidence,
    limit: float,
    parent: WarmParent,
    on_progress: OnProgress,
) -> None:
    """Survey every enabled module, for each may be the other side of an event, and exercise those that are wanted."""

    def job(case: Case, phase: Phase) -> Job:
        return Job(
            phase=phase,
            source=case.source,
            limit=limit,
            budget=limit * _BUDGET[phase] + 20.0,
            manifest=case.parsed,
            settings=config.module_settings.get(case.id, {}),
            samples=_samples(case) if phase == "exercise" else (),
        )

    def run(jobs: list[Job]) -> None:
        for done, fact in parent.run(jobs, lambda each: on_progress(each.phase, each.source.id)):
            world[done.source.id].take(fact)

    run([job(case, "survey") for case in world.values() if case.parsed is not None])
    if needs < Evidence.EXERCISE:
        return
    ready = []
    for case in wanted:
        survey = case.facts.get("survey")
        if not isinstance(survey, Survey):
            continue
        if survey.runnable:
            ready.append(case)
        else:
            case.blocked = "its code cannot be run"
    run([job(case, "exercise") for case in ready])


def _samples(case: Case) -> tuple[Sample, ...]:
    """Return what the producers of the module's events may send it."""
    consumed = set(case.parsed.events.consumes) if case.parsed else set()
    return tuple(
        Sample(event.name, other.id, event.version, payload)
        for other in case.world.values()
        if isinstance(survey := other.facts.get("survey"), Survey)
        for event in survey.emits
        if event.name in consumed
        for payload in event.payloads
    )


def _judge(cases: Sequence[Case], rules: Sequence[Rule], seconds: float) -> Report:
    findings: list[Finding] = []
    ignored: list[Ignored] = []
    unjudged: list[Unjudged] = []
    for case in cases:
        excused = {each.rule: each.reason for each in case.parsed.checks.ignore} if case.parsed else {}
        for rule in rules:
            try:
                found = [
                    Finding(
                        rule=rule.id,
                        name=rule.name,
                        severity=rule.severity,
                        module=case.id,
                        what=breach.what,
                        place=breach.place,
                        remedy=breach.remedy or rule.remedy,
                    )
                    for breach in rule.check(case)
                ]
            except NotObservedError as reason:
                unjudged.append(Unjudged(case.id, rule.id, str(reason)))
                continue
            if rule.id in excused:
                ignored += [Ignored(finding, excused[rule.id]) for finding in found]
            else:
                findings += found
    return Report(
        modules=tuple(case.id for case in cases),
        rules=tuple(rules),
        findings=tuple(sorted(dict.fromkeys(findings), key=lambda finding: finding.key)),
        ignored=tuple(ignored),
        unjudged=tuple(unjudged),
        seconds=seconds,
    )
