"""A process that consumes until it is killed: `python consuming_process.py URL LOG`. Each handled event is one line."""

from __future__ import annotations

import asyncio
import os
import sys

from recyclic.core.events.broker import Broker, BrokerSettings
from recyclic.core.events.event import EventMeta
from recyclic.core.events.streams import RedisStreams
from recyclic.core.redis import connect


async def main(url: str, path: str) -> None:
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def handler(number: int, meta: EventMeta) -> None:
        await asyncio.sleep(0.002)  # a handler that does something, so that a kill finds it inside
        os.write(log, f"{number} {meta.attempt} {os.getpid()}\n".encode())

    settings = BrokerSettings(lease=1.0, poll=0.1, prefetch=16, max_attempts=50)
    broker = Broker(RedisStreams(connect(url)), settings=settings)
    broker.scoped("counter").on("thing_counted", handler)
    await broker.start()
    broker.consume()
    await asyncio.Event().wait()


asyncio.run(main(sys.argv[1], sys.argv[2]))
