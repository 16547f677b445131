"""Commits of a host's database, told to the faults: those of handlers and requests, not the machinery's own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import event
from sqlalchemy.orm import Session

from recyclic.core.database import READ_ONLY
from recyclic.testing.fault import acting_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recyclic.testing.host import ModuleHost


@contextmanager
def heed_commits(host: ModuleHost) -> Iterator[None]:
    """Tell the host's active faults of each commit inside the block, before and after it took effect."""

    def before(session: Session) -> None:
        if host.active_faults and _is_ours(host, session):
            for fault in host.active_faults:
                fault.before_commit(host, session)

    def after(session: Session) -> None:
        if host.active_faults and _is_ours(host, session):
            for fault in host.active_faults:
                fault.after_commit(host, session)

    event.listen(Session, "before_commit", before)
    event.listen(Session, "after_commit", after)
    try:
        yield
    finally:
        event.remove(Session, "before_commit", before)
        event.remove(Session, "after_commit", after)


def _is_ours(host: ModuleHost, session: Session) -> bool:
    if session.get_bind().get_execution_options().get(READ_ONLY):
        return False
    return bool(acting_module(host))
