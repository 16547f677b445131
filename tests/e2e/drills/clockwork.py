"""A worker process whose clock jumps: SIGUSR1 sets it an hour forward, SIGUSR2 an hour back. `python clockwork.py`."""

from __future__ import annotations

import asyncio
import signal
import time

from recyclic.config import Config
from recyclic.core.app import create_app
from recyclic.core.clock import SystemClock
from recyclic.core.observability import configure_logging

HOUR = 3600.0


class JumpingClock(SystemClock):
    """The time of day can be set, as an operator or NTP does; durations go on as they should."""

    offset = 0.0

    def now(self) -> float:
        """Return what this machine takes for the time."""
        return time.time() + self.offset

    def jump(self, seconds: float) -> None:
        """Set the clock forward, or back."""
        self.offset += seconds
        print(f"the clock is off by {self.offset:g} s", flush=True)


async def main() -> None:
    """Run the host as `recyclic worker` does, but for its clock."""
    config = Config.load()
    configure_logging(config.log)
    clock, stop, loop = JumpingClock(), asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, clock.jump, HOUR)
    loop.add_signal_handler(signal.SIGUSR2, clock.jump, -HOUR)
    app = create_app(config, clock=clock, serve_ui=False)
    async with app.router.lifespan_context(app):
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        print("handles events of this drill", flush=True)
        await stop.wait()


asyncio.run(main())
