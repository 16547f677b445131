"""What an operator sees: logs and health."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable
from typing import Any

import structlog
from fastapi import APIRouter, Request, Response

from recyclic.config import LogConfig
from recyclic.core.events.condition import BusWatch

CHECK_SECONDS = 5
"""A check that takes longer has failed."""

router = APIRouter(prefix="/health", tags=["health"])
log = structlog.get_logger(__name__)


@router.get("/live")
async def live() -> dict[str, str]:
    """Say that the process runs."""
    return {"status": "ok"}


@router.get("/ready")
async def ready(request: Request, response: Response) -> dict[str, Any]:
    """Say whether work can be taken on.

    503 without a database. With anything else in trouble the host is `degraded` but takes on work: events wait in the
    outbox. `reasons` names what is wrong; the log tells more. `topology` says what Redis is: `embedded`, `standalone`,
    `sentinel` or `cluster`; `given` where the host did not open it itself.
    """
    state = request.app.state
    checks = {"database": await _check("database", state.database.ping())}
    bus, reasons = await _bus(state.bus_watch)
    checks |= bus
    modules = {module.id: await _check(module.id, module.instance.health()) for module in state.lifecycle.running}
    reasons = [name for name in ("database",) if checks[name] != "ok"] + reasons
    reasons += [f"module {name}" for name, found in modules.items() if found != "ok"]
    status = "degraded" if reasons else "ready"
    if checks["database"] != "ok":
        status = "unavailable"
        response.status_code = 503
    found = {"status": status, "reasons": reasons, "checks": checks, "modules": modules}
    return {**found, "topology": state.topology}


async def _bus(watch: BusWatch) -> tuple[dict[str, str], list[str]]:
    """Return the checks of the bus, and the names of what is wrong."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            condition = await watch.read()
    except TimeoutError:
        log.warning("a health check failed", check="redis", reason="no answer in time")
        return {"redis": "failed"}, ["redis_away"]
    checks = {}
    for name, text in condition.checks().items():
        checks[name] = "ok" if not text else "unknown" if text == "unknown" else "failed"
        if checks[name] == "failed":
            log.warning("a health check failed", check=name, reason=text)
    return checks, condition.reasons


async def _check(name: str, question: Awaitable[Any]) -> str:
    """Return "ok" or "failed"; the reason is the log's, the answer is public."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            reason = await question
    except Exception as error:  # noqa: BLE001 - whatever it is, the check has failed
        reason = f"{type(error).__name__}: {error}"
    if isinstance(reason, str):
        log.warning("a health check failed", check=name, reason=reason)
        return "failed"
    return "ok"


def default_logging() -> None:
    """Where nobody has configured structlog, keep tracebacks plain: its default prints every local variable."""
    if not structlog.is_configured():
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
                structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
            ]
        )


def configure_logging(config: LogConfig) -> None:
    """Send structlog's and the standard library's records to standard error, as text on a terminal or as JSON."""
    plain = config.format == "console" or (config.format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    ending: list[Any] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if plain
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config.level.upper())
