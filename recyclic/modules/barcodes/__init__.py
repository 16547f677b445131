"""barcodes: labels with a code that the till scans, for things that came without one."""

from __future__ import annotations

from typing import Any, ClassVar

from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import MetaData

from recyclic.core.module_base import ModuleBase
from recyclic.modules.barcodes.models import metadata
from recyclic.modules.barcodes.routes import label_routes
from recyclic.modules.barcodes.settings import BarcodesSettings


class BarcodesModule(ModuleBase):
    """Makes labels, prints them, and finds them again when the till scans one."""

    settings: ClassVar[type[BaseModel] | None] = BarcodesSettings
    metadata: ClassVar[MetaData | None] = metadata

    prefix: int = BarcodesSettings().prefix

    def register_routes(self, app: FastAPI) -> None:
        """Serve the labels."""
        app.include_router(label_routes(lambda: self.prefix))

    def register_ui_extensions(self) -> dict[str, list[str]]:
        """Offer the scanner's field where the till takes an item."""
        return {"sale_item_entry": ["ScanEntry"]}

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:  # noqa: ARG002 - the contract's signature
        """Take the prefix of new codes from the settings."""
        self.prefix = BarcodesSettings.model_validate(config).prefix

    async def shutdown(self) -> None:
        """Nothing to give back."""


MODULE_CLASS = BarcodesModule
