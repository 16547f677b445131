"""paheko for tests: the fixture `paheko_server`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from recyclic.modules.paheko.double import PahekoServer


def settings_for(server: PahekoServer) -> dict[str, Any]:
    """Return the paheko module's settings that point at `server`."""
    return server.settings


@pytest.fixture
def paheko_server() -> Iterator[PahekoServer]:
    """A stand-in for Paheko over real HTTP, for tests with and without a loop.

    Where `module_host` or `ui_host` is used beside it, the paheko module writes to it: the kit merges every
    requested fixture's `module_settings` into the host's configuration.
    """
    with PahekoServer.run_in_thread() as server:
        server.module_settings = {"paheko": settings_for(server)}
        yield server
