"""Channel: messages between a test and one of its worker processes, over a socket pair.

What a process has sent is in the other's hands at once, even if it is killed in the next moment: so whoever sees an
effect of a process in Redis, and reads its channel after that, finds all that it had told before.
"""

from __future__ import annotations

import pickle
import socket
import struct
from typing import Any

_HEAD = struct.Struct("!I")

Message = tuple[Any, ...]
"""A word that says what it is, and its arguments; all that can be pickled."""


class Channel:
    """One end. Sending waits until the other end has room; receiving never waits."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(True)
        self._end = end
        self._received = bytearray()
        self.closed = False
        self.sent = 0
        """How many messages were sent."""

    def fileno(self) -> int:
        """Return the descriptor, to be told when something can be received."""
        return self._end.fileno()

    def send(self, *message: Any) -> None:
        """Send a message; one to an end that is gone is lost."""
        self.sent += 1
        packed = pickle.dumps(message)
        try:
            self._end.sendall(_HEAD.pack(len(packed)) + packed)
        except OSError:
            self.closed = True

    def receive(self) -> list[Message]:
        """Return all the messages that have come."""
        while not self.closed:
            try:
                part = self._end.recv(1 << 16, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError:
                part = b""
            self.closed = not part
            self._received += part
        return list(self._whole())

    def close(self) -> None:
        """Close this end."""
        self.closed = True
        self._end.close()

    def _whole(self) -> list[Message]:
        messages, start = [], 0
        while len(self._received) >= start + _HEAD.size:
            end = start + _HEAD.size + _HEAD.unpack_from(self._received, start)[0]
            if len(self._received) < end:
                break
            messages.append(pickle.loads(bytes(self._received[start + _HEAD.size : end])))  # noqa: S301 - our own child
            start = end
        del self._received[:start]
        return messages
