"""Names its events where classes are wanted."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Names its events where classes are wanted."""

    emits = ["box_opened"]  # type: ignore[assignment]  # noqa: RUF012 - what the rule is about

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Do nothing."""


MODULE_CLASS = AtticModule
