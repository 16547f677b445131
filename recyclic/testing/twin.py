"""Twin: every command of a host runs on a real server and on the fake, and the first difference is kept.

The host goes by the server's replies. Entry ids are the servers' own, so they are compared as names: which id of the
one is which of the other is learnt from the replies, and held to from then on.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import deque
from collections.abc import Sequence
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import NoScriptError, RedisError

if TYPE_CHECKING:
    from recyclic.core.events.wire import Command, Wire, Words

_ID: Final = re.compile(rb"\d{10,}-\d+")
_STREAM: Final = re.compile(r"events:[a-z0-9_]+")
_FAR_BACK: Final = 12
"""Commands that are shown before the one that differs."""
_COMPARED: Final = {
    "STREAM": {b"length", b"last-generated-id", b"groups"},
    "GROUPS": {b"name", b"consumers", b"pending", b"last-delivered-id"},
    "CONSUMERS": {b"name", b"pending"},
}
"""What XINFO tells on both; the rest is a server's own business, such as idle times and the nodes of a tree."""
_OWN_BUSINESS: Final = {"INFO", "CONFIG", "MEMORY", "TIME", "ACL", "WAIT", "CLIENT", "SCRIPT"}
"""Commands about a server itself."""


class Comparison:
    """What is known of both servers of one host, and where they first differed."""

    def __init__(self) -> None:
        self.difference = ""
        self.over = ""
        """Why nothing is compared any more, if so."""
        self.compared = 0
        self.lock = asyncio.Lock()
        self._names: dict[str, _Names] = {}
        self._trace: deque[str] = deque(maxlen=_FAR_BACK)

    def translated(self, command: Command) -> Command:
        """Return a command of the server's as it reads on the fake."""
        key, words = command
        names = self._names_of(key)
        return key, tuple(names.word(word) for word in words)

    def look(self, command: Command, server: Any, fake: Any) -> None:
        """Compare two replies, unless a difference was found before."""
        key, words = command
        if self.difference or words[0] in _OWN_BUSINESS:
            return
        self.compared += 1
        names = self._names_of(key)
        place = names.difference(_comparable(words, server), _comparable(words, fake))
        if place:
            lines = [f"server and fake differ at command {self.compared}: {place}", f"  {_shown(words)}"]
            lines += [f"    server: {server!r}", f"    fake:   {fake!r}", "  the commands before it:"]
            self.difference = "\n".join([*lines, *(f"    {line}" for line in self._trace)])
        self._trace.append(_shown(words))

    def _names_of(self, key: str) -> _Names:
        """Return the names of the stream that a key belongs to: each stream gives its own."""
        stream = _STREAM.search(key)
        return self._names.setdefault(stream.group() if stream else key, _Names())


class _Names:
    """Which entry of the server's is which of the fake's, in one stream."""

    def __init__(self) -> None:
        self._ids: dict[bytes, bytes] = {}
        self._back: dict[bytes, bytes] = {}

    def word(self, word: Any) -> Any:
        """Return a word of the server's as it reads on the fake."""
        raw = word.encode() if isinstance(word, str) else word
        return self._renamed(raw) if isinstance(raw, bytes) else word

    def _renamed(self, text: bytes) -> bytes:
        return _ID.sub(lambda found: self._ids.get(found.group(), found.group()), text)

    def difference(self, one: Any, other: Any, place: str = "the reply") -> str:
        """Return where two replies differ; nothing where they do not."""
        if isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return f"{place} has {len(one)} and {len(other)} parts"
            found = (self.difference(*pair, f"{place}[{at}]") for at, pair in enumerate(zip(one, other, strict=True)))
            return next(filter(None, found), "")
        if isinstance(one, Exception) and isinstance(other, Exception):
            return ""  # each says it in its own words
        if isinstance(one, bytes) and isinstance(other, bytes) and _ID.fullmatch(one) and _ID.fullmatch(other):
            known = self._ids.setdefault(one, other), self._back.setdefault(other, one)
            return "" if known == (other, one) else f"{place} is another entry"
        if isinstance(one, bytes):
            one = self._renamed(one)
        return "" if one == other and type(one) is type(other) else f"{place} is {one!r} and {other!r}"


class TwinWire:
    """A wire to both."""

    pipes_behind = False
    scripts: Final[dict[str, str]] = {}
    """Scripts by their digests: a server may know one that the fake was never sent."""

    def __init__(self, server: Wire, fake: Wire, comparison: Comparison) -> None:
        self._server = server
        self._fake = fake
        self._comparison = comparison

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """See Wire."""
        return await self._both("run", commands)

    async def atomically(self, commands: Sequence[Command]) -> list[Any]:
        """See Wire."""
        return await self._both("atomically", commands)

    async def everywhere(self, words: Words) -> list[Any]:
        """See Wire. On the server only."""
        return await self._server.everywhere(words)

    async def wait(self, commands: Sequence[Command]) -> list[Any]:
        """See Wire. Nothing waits on a twin: its transport has a bell, as the fake's has."""
        return await self.run(commands)

    async def recall(self) -> None:
        """See Wire."""

    def grown(self, key: str) -> None:
        """See Wire."""

    async def close(self) -> None:
        """See Wire."""
        await self._server.close()
        await self._fake.close()

    async def _both(self, how: str, commands: Sequence[Command]) -> list[Any]:
        """Run the commands on both as a whole, even while being cancelled: half a step would be a difference."""
        pair = asyncio.get_running_loop().create_task(self._pair(how, commands), context=Context())
        while not pair.done():
            try:
                await asyncio.shield(pair)
            except asyncio.CancelledError:
                await asyncio.wait((pair,))
                pair.exception()
                raise
        return pair.result()

    async def _pair(self, how: str, commands: Sequence[Command]) -> list[Any]:
        comparison = self._comparison
        async with comparison.lock:
            try:
                replies: list[Any] = await getattr(self._server, how)(commands)
            except (RedisError, OSError) as error:
                comparison.over = comparison.over or f"nobody knows what the server did when it said: {error}"
                raise
            if comparison.difference or comparison.over:
                return replies
            for _, words in commands:
                if words[0] == "EVAL":
                    self.scripts[_digest(words[1])] = words[1]
            others = await getattr(self._fake, how)([comparison.translated(command) for command in commands])
            for command, server, fake in zip(commands, replies, others, strict=True):
                known = await self._told_script(command, fake) if not isinstance(server, NoScriptError) else fake
                comparison.look(command, server, known)
            return replies

    async def _told_script(self, command: Command, fake: Any) -> Any:
        """Run a script on the fake that only the server knew."""
        key, words = command
        if not isinstance(fake, NoScriptError) or words[1] not in self.scripts:
            return fake
        whole = self._fake.run([self._comparison.translated((key, ("EVAL", self.scripts[words[1]], *words[2:])))])
        [reply] = await whole
        return reply


def _comparable(words: Words, reply: Any) -> Any:
    """Return what of a reply must be the same on both."""
    if isinstance(reply, Exception) or reply is None:
        return reply
    match words:
        case ("XINFO", kind, *_) if kind in _COMPARED:
            rows = [dict(_pairs(row)) for row in (reply if kind != "STREAM" else [reply])]
            rows.sort(key=lambda row: row.get(b"name", b""))  # in which order they come is nobody's promise
            return [[[name, row.get(name)] for name in sorted(_COMPARED[kind])] for row in rows]
        case ("XPENDING", _, _, _, _, *_):
            return [[entry, consumer, count] for entry, consumer, _idle, count in reply]
        case ("HGETALL", *_):
            return [list(pair) for pair in sorted(_pairs(reply))]
        case (("KEYS" | "SMEMBERS" | "HKEYS"), *_):
            return sorted(reply)
    return reply


def _pairs(flat: Any) -> list[tuple[Any, Any]]:
    return list(flat.items()) if isinstance(flat, dict) else list(zip(flat[::2], flat[1::2], strict=True))


def _shown(words: Words) -> str:
    texts = [word.decode(errors="replace") if isinstance(word, bytes) else str(word) for word in words]
    if texts[0] == "EVAL":
        texts[1] = f"({len(texts[1])} characters)"
    return " ".join(text if len(text) <= 60 else f"{text[:57]}…" for text in texts)


def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
