"""The events that paheko publishes."""

from __future__ import annotations

from recyclic.core.events.event import Event


class EntryWritten(Event):
    """A closed till session stands in Paheko, as one accounting entry.

    `reference` is the entry's reference there, `transaction_id` its number, `amount_cents` the sum of either side.
    """

    session_id: str
    reference: str
    transaction_id: int
    amount_cents: int


class SyncRequested(Event):
    """Somebody, or the reminder, asks that a closed session be sent to Paheko, also when it was set aside before."""

    session_id: str


class MemberSyncRequested(Event):
    """The reminder asks that a member that could not be sent yet be sent to Paheko."""

    member_id: str
