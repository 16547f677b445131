"""take_over: a transport that redis-py has connected and signed in on becomes a protocol's of our own."""

from __future__ import annotations

import asyncio
from typing import Final

import hiredis
from redis.asyncio.connection import AbstractConnection, DefaultParser
from redis.exceptions import InvalidResponse

NOTHING: Final = object()
"""What a reader returns while no whole reply has come."""


def take_over(connection: AbstractConnection, protocol: asyncio.Protocol) -> asyncio.StreamWriter:
    """Let `protocol` have the transport from here on; return the writer, whose end would close it: keep it."""
    writer = connection._writer  # noqa: SLF001 - there is no public way to the transport
    assert writer is not None
    connection._reader = connection._writer = None  # noqa: SLF001 - it is ours from here on
    writer.transport.set_protocol(protocol)
    return writer


def reply_reader() -> hiredis.Reader:
    """Return a reader of replies, undecoded, which makes error replies the exceptions that redis-py has for them."""
    return hiredis.Reader(protocolError=InvalidResponse, replyError=DefaultParser.parse_error, notEnoughData=NOTHING)
