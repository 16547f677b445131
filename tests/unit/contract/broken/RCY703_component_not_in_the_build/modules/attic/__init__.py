"""Names a component that was written after the build."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Names a component that was written after the build."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Do nothing."""

    def register_ui_extensions(self) -> dict[str, list[str]]:
        """Fill the slot."""
        return {"settings_menu": ["DustPanel"]}


MODULE_CLASS = AtticModule
