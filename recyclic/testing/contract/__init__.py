"""The verifier: every enabled module against every rule of the module contract. `recyclic check` is its command.

`check` is the function behind the command; `contract_tests("paheko")` puts the same into a test file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recyclic.testing.contract.collect import contract_tests as contract_tests
    from recyclic.testing.contract.engine import check as check

__all__ = ["check", "contract_tests"]


def __getattr__(name: str) -> Any:
    """Load each public name when it is asked for: `check` must not need pytest."""
    if name == "check":
        from recyclic.testing.contract.engine import check  # noqa: PLC0415 - see above

        return check
    if name == "contract_tests":
        from recyclic.testing.contract.collect import contract_tests  # noqa: PLC0415 - see above

        return contract_tests
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
