"""RCY1: what `module.toml` says can be read, and means something."""

from __future__ import annotations

from collections.abc import Iterator

from recyclic.testing.contract.case import Case
from recyclic.testing.contract.finding import Breach, Place
from recyclic.testing.contract.rule import RESERVED, Check, Evidence, all_rules, rule


def _as_the_host_says(rule_id: str) -> Check:
    """Return a check that passes on what the host's own reader found under `rule_id`."""

    def check(case: Case) -> Iterator[Breach]:
        yield from case.problems_of(rule_id)

    return check


for _id, _name, _why, _remedy in (
    (
        "RCY101",
        "the manifest cannot be read",
        "Nothing of the module can be known before its code runs, so the host refuses to start.",
        "Make it a UTF-8 file of TOML 1.0 named module.toml, at the line and column given.",
    ),
    (
        "RCY102",
        "a key is missing",
        "The host needs name, version, description and the permissions of every module; it guesses none.",
        "Add the key; docs/module-contract.md says what belongs there.",
    ),
    (
        "RCY103",
        "a key is unknown",
        "A misspelt key would silently do nothing.",
        "Correct it to the known key that is named, or remove it.",
    ),
    (
        "RCY104",
        "a value is of the wrong kind",
        "The host would have to guess what is meant.",
        "Write a value of the kind that the message names.",
    ),
    (
        "RCY105",
        "the version is not PEP 440",
        "Versions are compared, and only PEP 440 says how.",
        'Write a version such as "1.2.0".',
    ),
    (
        "RCY106",
        "the section or level is unknown",
        "The guard would not know whom to let in.",
        "Use a section and a level that docs/module-contract.md lists.",
    ),
    (
        "RCY107",
        "a page lies outside the module's own path",
        "Two modules that claim one path hide each other, and the front end loads a module by its path.",
        "Let every route be /modules/<id> or begin with /modules/<id>/.",
    ),
    (
        "RCY108",
        "a slot, event or group name is malformed or stands twice",
        "Names are keys in Redis, in the build and in other modules' manifests: they are snake_case and stand once.",
        "Correct or remove the name.",
    ),
    (
        "RCY109",
        "the host's version does not fit",
        "The module says itself that it does not work here.",
        "Update Recyclic, take another version of the module, or widen requires_host once that was tested.",
    ),
):
    rule(_id, _name, why=_why, remedy=_remedy, needs=Evidence.MANIFEST)(_as_the_host_says(_id))


@rule(
    "RCY110",
    "an ignored rule has no reason or does not exist",
    why="An exception that nobody can explain is never removed, and one for a rule that does not exist hides a typo.",
    remedy='Write { rule = "RCY404", reason = "why it does not hold here" } with an id that `recyclic rule` lists.',
    needs=Evidence.MANIFEST,
)
def ignores_are_explained(case: Case) -> Iterator[Breach]:
    """Yield ignores without a reason, malformed ones, and those of rules that do not exist."""
    yield from case.problems_of("RCY110")
    if case.parsed is None:
        return
    known = {each.id for each in all_rules()} | RESERVED.keys()
    for ignored in case.parsed.checks.ignore:
        if ignored.rule not in known:
            yield Breach(f"there is no rule {ignored.rule}", Place(file=str(case.parsed.path), key="[checks] ignore"))
