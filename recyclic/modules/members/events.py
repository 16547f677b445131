"""The events that members publishes."""

from __future__ import annotations

from recyclic.core.events.event import Event


class MemberCreated(Event):
    """Someone became a member of the association. Emitted in the transaction that wrote the member down."""

    member_id: str
    number: int
    first_name: str
    last_name: str
    email: str | None
