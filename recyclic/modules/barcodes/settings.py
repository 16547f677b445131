"""The settings of barcodes: the table `[modules.barcodes]`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from recyclic.modules.barcodes.ean13 import IN_STORE_PREFIXES


class BarcodesSettings(BaseModel):
    """What a shop may choose about its codes."""

    model_config = ConfigDict(extra="forbid")

    prefix: int = Field(
        default=IN_STORE_PREFIXES[0],
        ge=IN_STORE_PREFIXES[0],
        le=IN_STORE_PREFIXES[-1],
        description="The first two digits of new codes. Choose one that the shop's scales do not use.",
    )
