"""RCY3: the module's code can be imported, has the contract's shape, and does nothing by being imported."""

from __future__ import annotations

from collections.abc import Iterator

from recyclic.testing.contract.case import Case
from recyclic.testing.contract.finding import Breach, Place
from recyclic.testing.contract.observed import Failure
from recyclic.testing.contract.rule import Evidence, rule


def told(failure: Failure) -> str:
    """Return an exception with the module's own lines that led to it."""
    return "\n".join([failure.error, *(f"  {line}" for line in failure.lines)])


@rule(
    "RCY301",
    "the module cannot be imported",
    why="The host imports every enabled module before it starts any.",
    remedy="Correct the line that is named; libraries' lines are left out.",
    needs=Evidence.SURVEY,
)
def can_be_imported(case: Case) -> Iterator[Breach]:
    """Yield what importing the package raised, and files that are no Python."""
    survey = case.survey
    if survey.failure and not any(breach for breach in case.problems_of("RCY204")):
        yield Breach(f"importing it raises {told(survey.failure)}", survey.failure.place)
    for flaw in survey.unparsable:
        if survey.failure is None or flaw.place.file != survey.failure.place.file:
            yield Breach(f"this is no Python: {flaw.what}", flaw.place)


@rule(
    "RCY302",
    "there is no usable MODULE_CLASS",
    why="It is all that the host knows of a module's code.",
    remedy="Write MODULE_CLASS = YourModule in __init__.py, a class derived from recyclic.ModuleBase.",
    needs=Evidence.SURVEY,
)
def has_a_module_class(case: Case) -> Iterator[Breach]:
    """Yield what is wrong with MODULE_CLASS."""
    if flaw := case.survey.class_flaw:
        yield Breach(flaw.what, flaw.place)


@rule(
    "RCY303",
    "a method does not have the contract's signature",
    why="The host awaits startup and shutdown and calls the others plainly, with the arguments of ModuleBase.",
    remedy="Write the method as recyclic.ModuleBase has it.",
    needs=Evidence.SURVEY,
)
def methods_fit(case: Case) -> Iterator[Breach]:
    """Yield methods that are sync where the contract is async, or cannot be called as the contract says."""
    for flaw in case.survey.method_flaws:
        yield Breach(flaw.what, flaw.place)


@rule(
    "RCY304",
    "the module cannot be built without arguments",
    why="The host builds every module by calling its class with nothing.",
    remedy="Let __init__ take no arguments and do no work; settings and the host come with startup.",
    needs=Evidence.SURVEY,
)
def can_be_built(case: Case) -> Iterator[Breach]:
    """Yield what building the class raised."""
    if failure := case.survey.construction:
        yield Breach(f"building it raises {told(failure)}", failure.place)


@rule(
    "RCY305",
    "work is done at import",
    why="Importing happens for a look at the manifest, in tests and in every process. What it starts nobody stops.",
    remedy="Move it into startup, and give it back in shutdown.",
    needs=Evidence.SURVEY,
)
def imports_do_nothing(case: Case) -> Iterator[Breach]:
    """Yield threads, sockets, processes, written files and changes of the environment that importing caused."""
    for flaw in case.survey.import_work:
        yield Breach(f"importing it {flaw.what}", flaw.place)


@rule(
    "RCY306",
    "an attribute of the module class is of the wrong kind",
    why="The host reads emits and settings from the class to check payloads and the [modules.<id>] table.",
    remedy="Make emits a tuple of Event classes with snake_case names, and settings a Pydantic model or None.",
    needs=Evidence.SURVEY,
)
def attributes_fit(case: Case) -> Iterator[Breach]:
    """Yield attributes that the host cannot use."""
    for flaw in case.survey.attribute_flaws:
        yield Breach(flaw.what, flaw.place if flaw.place.file else Place(file=str(case.source.path)))
