"""Fills a slot that no page has."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Fills a slot that no page has."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Do nothing."""

    def register_ui_extensions(self) -> dict[str, list[str]]:
        """Fill the slot."""
        return {"sale_detials": ["DustPanel"]}


MODULE_CLASS = AtticModule
