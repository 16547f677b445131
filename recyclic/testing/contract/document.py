"""The rules' reference, made from the rules: `python -m recyclic.testing.contract.document docs/rules.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from recyclic.testing.contract.rule import FAMILIES, RESERVED, all_rules

_HEAD = """\
<!-- Made by `python -m recyclic.testing.contract.document docs/rules.md`. Change the rules, not this page. -->

# The rules of the module contract

`recyclic check` verifies every enabled module against these rules; `recyclic check paheko` one of them, `recyclic rule
RCY404` explains a rule. An id keeps its meaning for good. The command ends with 0 when nothing is broken, 1 when
something is, and 2 when something could not be checked or no module was.

- `--select RCY4,RCY501` and `--ignore RCY705` choose rules by id or by its beginning.
- A module excuses itself from a rule in its `module.toml`, with a reason:
  `[checks] ignore = [{ rule = "RCY404", reason = "…" }]`.
- `--format json` is for programs. `pytest --contracts` runs the same as one test for each module and rule, and
  `test_contract = contract_tests("paheko")` (from `recyclic.testing.contract`) puts one module's into a test file.

Each module runs in processes of its own, with a time limit for each step (`--limit`), an empty database and a Redis of
its own, its network cut, and none of the shop's settings in its environment. It is booted alone; where it ships a
`double.py`, its settings point at that stand-in. What it does to its process is reported, and the check goes on.
"""


def rules_page() -> str:
    """Return the page."""
    parts = [_HEAD]
    for prefix, family in FAMILIES.items():
        parts.append(f"\n## {prefix} {family}\n")
        parts += [
            f"\n### {rule.id} {rule.name}\n\n*{rule.severity}.* {rule.why}\n\n**Remedy.** {rule.remedy}\n"
            for rule in all_rules()
            if rule.id.startswith(prefix)
        ]
        parts += [
            f"\n### {reserved}\n\nReserved for: {promise}. This version checks nothing under it.\n"
            for reserved, promise in RESERVED.items()
            if reserved.startswith(prefix)
        ]
    return "".join(parts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(rules_page(), encoding="utf-8")
