"""Forgets the process that it has started."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from fastapi import FastAPI

from recyclic import ModuleBase


class AtticModule(ModuleBase):
    """Forgets the process that it has started."""

    async def startup(self, app: FastAPI, config: dict[str, Any]) -> None:
        """Start."""
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        self.process = subprocess.Popen(command)  # noqa: ASYNC220 - what the rule is about

    async def shutdown(self) -> None:
        """Do nothing."""


MODULE_CLASS = AtticModule
