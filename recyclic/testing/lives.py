"""Lives: what a host's own process lives through: one life of the bus after the other, each begun, and ended or cut."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING

from recyclic.testing.assembly import assemble
from recyclic.testing.worker import Life

if TYPE_CHECKING:
    from recyclic.testing.backends import OpenStreams
    from recyclic.testing.host import ModuleHost


class Lives:
    """Begins the lives of a host, and starts a successor when one was cut."""

    def __init__(self, host: ModuleHost) -> None:
        self._host = host
        self._dead: list[Life] = []
        self._rebirth: asyncio.Task[None] | None = None
        self.open_streams: OpenStreams

    @property
    def are_between(self) -> bool:
        """Whether a successor is being started."""
        return self._rebirth is not None

    @property
    def were_cut(self) -> bool:
        """Whether one was killed."""
        return bool(self._dead)

    async def begin(self) -> None:
        """Start a life with fresh instances of the modules; raises what a module's start raises."""
        host = self._host
        registry = assemble(host.plan.choice, host.plan.config)
        life = Life(host, registry, self.open_streams(), consume=not host.team.workers)
        await life.start()
        host.life, host.registry = life, registry
        for module_id in host.paused:
            life.broker.pause(module_id)

    def die_and_restart(self) -> None:
        """Let the present life die now, and begin to start its successor."""
        if self._rebirth is None:
            self._host.life.cut()
            self._host.journal.worker_died()
            nobody = contextvars.Context()  # the successor is not the dying handler's child
            loop = asyncio.get_running_loop()
            self._rebirth = loop.create_task(self._reborn(self._host.life), context=nobody)

    async def next_begun(self) -> None:
        """Wait until a successor that is being started has been."""
        if self._rebirth is not None:
            await self._rebirth

    async def end(self) -> None:
        """End the present life in order, and give back what the dead ones held."""
        for life in (self._host.life, *self._dead):
            if life not in self._dead or life.app.state:
                await life.end()

    async def give_up(self) -> None:
        """Stop starting a successor."""
        if self._rebirth is not None:
            self._rebirth.cancel()
            await asyncio.wait((self._rebirth,))

    async def _reborn(self, dead: Life) -> None:
        host = self._host
        try:
            await dead.bury()
            self._dead.append(dead)
            await self.begin()
        except Exception as error:  # noqa: BLE001 - whatever a module's start raises, the test is told
            host.strict.stillborn = error
            host.journal.note(f"the fresh worker did not start: {type(error).__name__}: {error}")
        finally:
            self._rebirth = None
            host.journal.changed()
