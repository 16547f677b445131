"""Logs: what the host logs in a test goes through `logging`, where pytest captures it, in plain text."""

from __future__ import annotations

import structlog


def plain_logs() -> None:
    """Send structlog's records to `logging`, unless someone has configured it already."""
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.dev.ConsoleRenderer(
                colors=False, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
