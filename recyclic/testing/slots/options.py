"""The options of the slot kit. Imports nothing but pytest: they are added in every pytest run."""

from __future__ import annotations

import pytest


def add_options(parser: pytest.Parser) -> None:
    """Add `--ui-headed`, `--ui-url` and `--ui-trace`."""
    group = parser.getgroup("recyclic")
    group.addoption("--ui-headed", action="store_true", help="ui_host: show the browser")
    group.addoption(
        "--ui-url", metavar="URL", help="ui_host: take the front end from a development server, not from the build"
    )
    group.addoption(
        "--ui-trace",
        choices=("on", "off", "retain-on-failure"),
        default="retain-on-failure",
        help="ui_host: Playwright traces, kept in test-results/; retain-on-failure (default) keeps those of failures",
    )
