"""Uses a package that it does not declare."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Uses a package that it does not declare."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Start."""
        import iniconfig  # noqa: PLC0415 - what the rule is about

        app.state.reader = iniconfig.IniConfig

    async def shutdown(self) -> None:
        """Do nothing."""


MODULE_CLASS = AtticModule
