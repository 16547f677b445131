"""Mistakes that mypy finds in a user's test file, each in a line of its own, with the code of the error."""

from __future__ import annotations

from recyclic.testing import ModuleHost


async def test_mistakes(module_host: ModuleHost) -> None:
    async with module_host.act("close") as trace:
        await module_host.http.post("/", jsn={})  # call-arg
    trace.emited("sale_closed")  # attr-defined
    trace.emitted("sale_closed").once(2)  # call-arg
    trace.emitted("sale_closed").ok()  # attr-defined
    trace.consumed("sale_closed").ok(attempt=2)  # call-arg
    trace.consumed("sale_closed").retried_after("1 s")  # arg-type
    trace.emitted("sale_closed").caused_by("a click")  # arg-type
    trace.order(1)  # arg-type
    str(trace.show())  # func-returns-value
    module_host.settle().done()  # attr-defined
