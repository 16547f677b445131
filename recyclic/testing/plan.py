"""Plan: all that a host is booted by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from recyclic.testing.deadline import Patience

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from recyclic.config import Config
    from recyclic.testing.assembly import Choice


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that `boot_modules` was asked for."""

    choice: Choice
    config: Config
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    spare_settings: bool = False
    """Whether settings of modules that are not booted are left out; else they are refused."""
    backend: str = "fake"
    clock: Literal["virtual", "real"] = "virtual"
    patience: Patience = field(default_factory=Patience)
    allow: Mapping[str, str] = field(default_factory=dict)
    rerun: str = ""
    serve_ui: bool = True
    workers: int = 0
    """How many processes consume; with none, the test's own does."""
    test: str = ""
    """Whose host it is, as the journal's file says."""
    journal: Path | None = None
    """Where the journal is written, record by record."""
