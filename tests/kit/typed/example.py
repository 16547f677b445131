"""What a user's test file looks like to mypy --strict: every public name of the kit, as it is meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_type

import httpx
import pytest

from recyclic import Event
from recyclic.core.events.event import Envelope
from recyclic.testing import (
    ANY,
    Clicked,
    Consumed,
    Consumption,
    Emitted,
    ModuleHost,
    Trace,
    boot_modules,
    faults,
)


class SaleClosed(Event):
    """A session was closed."""

    session_id: str


@pytest.mark.modules("caisse", "paheko")
async def test_closing_the_till(module_host: ModuleHost) -> None:
    async with module_host.act("close", faults.handler("paheko", "sale_closed", fail=1)) as trace:
        response = await module_host.http.post("/api/modules/caisse/sessions/a/close")
    assert_type(trace, Trace)
    assert_type(response, httpx.Response)
    sale = trace.emitted("sale_closed", session_id=ANY, total_cents=lambda cents: cents > 0).once()
    assert_type(sale, Emitted)
    assert_type(sale[0], Envelope)
    assert_type(sale[:1], list[Envelope])
    assert_type(sale.data, Mapping[str, Any])
    assert_type(sale.id, str)
    for envelope in trace.emitted(SaleClosed):
        assert_type(envelope, Envelope)
    consumed = trace.consumed(SaleClosed, by="paheko").ok(attempts=2).retried_after(1.0)
    assert_type(consumed, Consumed)
    assert_type(consumed[0], Consumption)
    trace.consumed("sale_closed").failed(ConnectionError, times=1).delivered(2)
    trace.emitted("entry_written").caused_by(sale).caused_by(response).caused_by(response.request)
    trace.order("sale_closed", SaleClosed, sale, consumed)
    trace.never("member_created", name="x")
    trace.nothing_else()
    trace.show()
    assert_type(trace.to_mermaid(), str)
    assert_type(trace.clicked("Clore").once(), Clicked)


async def test_without_pytest() -> None:
    async with boot_modules("caisse", settings={"caisse": {}}, backend="fake") as host:
        assert_type(host, ModuleHost)
        names: Sequence[str] = [record.event for record in host.journal.records]
        assert not names
