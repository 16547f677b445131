"""Order: all that a worker process is started with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from recyclic.testing.deadline import Patience
from recyclic.testing.workers.carried import CarriedClass

if TYPE_CHECKING:
    from recyclic.config import Config
    from recyclic.testing.plan import Plan

WORK_KEY = "recyclic:kit:work"
"""The hash in which each worker process writes what it has under way: worker → `Work` as JSON."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """Which worker it is, what it boots, and where it meets the others. Can be pickled."""

    number: int
    plan: Plan
    classes: tuple[CarriedClass, ...]
    config: Config
    url: str
    """Of the Redis."""
    began: float
    """When the kit's clock began, in seconds since the epoch."""
    elapsed: float
    paused: tuple[str, ...]
    log: str
    """The file that takes what it writes to its standard output and error."""

    @classmethod
    def of(cls, plan: Plan, **values: object) -> Self:
        """Return an order for a plan.

        Raises:
            KitError: a class of the plan stands where no other process finds it.
        """
        classes = tuple(CarriedClass.of(one) for one in plan.choice.classes)
        plan = replace(plan, choice=replace(plan.choice, classes=()), allow={}, patience=Patience())
        return cls(plan=plan, classes=classes, **values)  # type: ignore[arg-type]

    def whole_plan(self) -> Plan:
        """Return the plan with its classes imported."""
        classes = tuple(carried.load() for carried in self.classes)
        return replace(self.plan, choice=replace(self.plan.choice, classes=classes))
