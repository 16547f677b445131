"""A process that uses the bus, forks, and uses it on both sides: `python forking_process.py REDIS`. Says the ids."""

from __future__ import annotations

import asyncio
import os
import sys

from recyclic.core.events.broker import Broker
from recyclic.core.events.event import Event
from recyclic.core.events.streams import RedisStreams
from recyclic.core.redis import connect


class ThingCounted(Event):
    """A thing was counted."""

    side: str
    number: int


broker = Broker(RedisStreams(connect(sys.argv[1])))
bus = broker.scoped("counter", emits=[ThingCounted])


async def emit(side: str) -> list[str]:
    return await asyncio.gather(*(bus.emit("thing_counted", side=side, number=number) for number in range(200)))


def say(ids: list[str]) -> None:
    sys.stdout.write("".join(f"{each}\n" for each in ids))
    sys.stdout.flush()


parents_loop = asyncio.new_event_loop()
before = parents_loop.run_until_complete(emit("before"))
child = os.fork()
if child == 0:
    say(asyncio.new_event_loop().run_until_complete(emit("child")))
    os._exit(0)
after = parents_loop.run_until_complete(emit("parent"))
_, status = os.waitpid(child, 0)
say(before + after)
os._exit(os.waitstatus_to_exitcode(status))
