"""The till's table in the configuration: `[modules.caisse]`."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone that this machine knows; write one like Europe/Paris") from error
    return name


class CaisseSettings(BaseModel):
    """What a shop may set about its tills."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variance_threshold_cents: int = Field(default=5, ge=0)
    """A count that is off by more than this needs a comment."""

    timezone: Annotated[str, AfterValidator(_known_zone)] = "Europe/Paris"
    """Where the shop's day begins and ends."""

    deferred_register: str = Field(default="Cahier", min_length=1, max_length=100)
    """The name of the register to which sessions entered from a paper notebook belong."""
