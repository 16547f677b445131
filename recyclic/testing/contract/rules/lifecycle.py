"""RCY4: a module starts without the outside world, stops, starts again, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

from recyclic.testing.contract.case import Case, NotObservedError
from recyclic.testing.contract.finding import Breach, Place, Severity
from recyclic.testing.contract.rule import Evidence, rule
from recyclic.testing.contract.rules.code import told

STARTING = ("register_routes", "register_signals", "register_ui_extensions", "startup")


@rule(
    "RCY401",
    "the module does not start",
    why="A module that fails in a step of its start keeps the whole host from starting.",
    remedy="Correct the line that is named. What may be missing at the start, take up later and come up degraded.",
    needs=Evidence.EXERCISE,
)
def starts(case: Case) -> Iterator[Breach]:
    """Yield the step of the start that raised without having asked for the network, or what the host refused."""
    life = case.life
    for name in STARTING:
        step = life.step(name)
        if step and step.failure and not step.hung and not step.denied:
            yield Breach(f"{name} raises {told(step.failure)}", step.failure.place)
    if life.host_failure and not life.refusals:
        yield Breach(f"it cannot be started: {told(life.host_failure)}", life.host_failure.place)


@rule(
    "RCY402",
    "shutdown raises",
    why="The host is going down: nobody is left to handle it, and what comes after it in shutdown is not given back.",
    remedy="Let shutdown give back what startup took, and bear what is already gone.",
    needs=Evidence.EXERCISE,
)
def stops(case: Case) -> Iterator[Breach]:
    """Yield what the first shutdown raised."""
    step = case.life.step("shutdown")
    if step and step.failure and not step.hung:
        yield Breach(f"shutdown raises {told(step.failure)}", step.failure.place)


@rule(
    "RCY403",
    "a step does not end",
    why="One module that waits for ever, or keeps the loop busy, stops the whole host.",
    remedy="Give every wait a limit, and run what blocks in a thread (asyncio.to_thread).",
    needs=Evidence.EXERCISE,
)
def ends(case: Case) -> Iterator[Breach]:
    """Yield steps that took longer than the limit, whether they waited or kept the interpreter busy."""
    for ending in case.endings.values():
        if ending.how == "hung":
            yield Breach(f"it hangs in {ending.step or ending.phase} and had to be killed", ending.place)
    try:
        steps = case.life.steps
    except NotObservedError:
        return
    for step in steps:
        if step.hung:
            yield Breach(f"{step.name} took longer than its limit", step.failure.place if step.failure else Place())


@rule(
    "RCY404",
    "a task or thread is left behind",
    why="It runs on with what shutdown has given back, keeps the process from ending, and doubles with each restart.",
    remedy="Keep it in the module, and in shutdown cancel and await it, or tell the thread to end and join it.",
    needs=Evidence.EXERCISE,
)
def leaves_nothing_running(case: Case) -> Iterator[Breach]:
    """Yield tasks and threads that the module's code started and that outlived its shutdown."""
    life = case.life
    if not (step := life.step("shutdown")) or step.hung or step.failure:
        return  # an unfinished shutdown is the finding
    for leak in life.leaks:
        yield Breach(f"the {leak.kind} {leak.what} outlives shutdown", leak.place)


@rule(
    "RCY405",
    "the module cannot be stopped twice or started again",
    why="Tests, a reload and a rolled-back start do both in one process.",
    remedy="Let shutdown bear being called twice, and keep no state in module-level variables.",
    needs=Evidence.EXERCISE,
)
def can_be_repeated(case: Case) -> Iterator[Breach]:
    """Yield what a second shutdown raised, and what kept a second start from working."""
    step = case.life.step("shutdown again")
    if step and step.failure:
        yield Breach(f"a second shutdown raises {told(step.failure)}", step.failure.place)
    if step is None or starts_failed(case):
        return
    if failure := case.restart.failure:
        yield Breach(f"starting again fails in {case.restart.step}: {told(failure)}", failure.place)


def starts_failed(case: Case) -> bool:
    """Return whether the first life did not come to its end, so that there is no second."""
    life = case.life
    return life.host_failure is not None or any(step.failure or step.hung for step in life.steps)


@rule(
    "RCY406",
    "the start needs the outside world",
    why="What a module talks to may be away when the shop opens in the morning. The till must open all the same.",
    remedy="Connect when it is first needed, or in a task that tries again, and come up degraded.",
    needs=Evidence.EXERCISE,
)
def starts_offline(case: Case) -> Iterator[Breach]:
    """Yield steps of the start that fail because a connection was refused."""
    life = case.life
    for name in STARTING:
        step = life.step(name)
        if step and step.failure and not step.hung and step.denied:
            wanted = ", ".join(dict.fromkeys(flaw.what for flaw in step.denied))
            yield Breach(f"{name} fails where {wanted} cannot be reached: {step.failure.error}", step.denied[0].place)


@rule(
    "RCY407",
    "the module ends its process",
    why="All modules of a shop share the host's process; one that ends it takes the till with it.",
    remedy="Raise an error instead of os._exit; look for a crash in a native library.",
    needs=Evidence.EXERCISE,
)
def lives_on(case: Case) -> Iterator[Breach]:
    """Yield how the module's process died, in which step, and the last that it wrote."""
    for ending in case.endings.values():
        if ending.how == "died":
            said = "".join(f"\n  {line}" for line in ending.output[-3:])
            yield Breach(f"the process died in {ending.step or ending.phase}: {ending.detail}{said}")


@rule(
    "RCY408",
    "the module prints to standard output",
    why="Standard output belongs to the command that runs: `recyclic check --format json` or a log in JSON.",
    remedy="Log it (structlog.get_logger) instead of printing it.",
    needs=Evidence.EXERCISE,
    severity=Severity.WARNING,
)
def prints_nothing(case: Case) -> Iterator[Breach]:
    """Yield what was printed."""
    for printed in dict.fromkeys(line for ending in case.endings.values() for line in ending.printed[:1]):
        yield Breach(f"it prints {printed!r:.100}")


@rule(
    "RCY409",
    "the module leaves processes behind",
    why="They outlive the host, keep its files and ports open, and double with each restart.",
    remedy="In shutdown terminate what startup has started, and wait for it.",
    needs=Evidence.EXERCISE,
)
def leaves_no_processes(case: Case) -> Iterator[Breach]:
    """Yield that something which the module started was still there when its process had ended."""
    for ending in case.endings.values():
        if ending.left_processes:
            yield Breach(f"processes that it started outlive its {ending.phase}")
