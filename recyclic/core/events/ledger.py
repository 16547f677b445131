"""RedisLedger: the operators' half of RedisStreams: what is looked at, decided and trimmed beside the hot path."""

from __future__ import annotations

from recyclic.core.events import ledger_scripts, replies, scripts
from recyclic.core.events.chronicle import FIELDS, RedisChronicle, words
from recyclic.core.events.entries import DeadLetter, Pair
from recyclic.core.events.keys import STREAM, copies_key, dead_key, pair_keys, replays_key
from recyclic.core.events.standing import Backlog, ReplayState, Retained, StreamState
from recyclic.errors import BusError, Problem

CHUNK = 1000
"""Entries that one step of trimming looks at; more where a node of the stream holds more."""
COUNTED = 5000
"""Entries that one step of counting looks at."""


class RedisLedger(RedisChronicle):
    """What waits, what is dead, what is kept."""

    async def events(self, only: str | None = None) -> list[StreamState]:
        """See Ledger."""
        groups = await self._groups(only)
        calls = []
        for event, names in groups.items():
            keys = [STREAM + event, copies_key(event), replays_key(event)]
            for group in names:
                _, retry, _ = pair_keys((event, group))
                keys += [retry, dead_key((event, group))]
            calls.append((ledger_scripts.STANDING, keys, names))
        found = []
        for (event, names), reply in zip(groups.items(), await self._eval("list events", calls), strict=True):
            length, copies, replays, *rows = replies.parsed(reply)
            backlogs = {}
            for group, (exists, pending, lag, delivered, oldest, retrying, dead, newest, readers) in zip(
                names, rows, strict=True
            ):
                backlogs[group] = Backlog(
                    exists=bool(exists),
                    unread=lag if lag >= 0 else await self._after(event, delivered.decode()),
                    pending=pending,
                    retrying=retrying,
                    dead=dead,
                    newest_dead=newest.decode() or None,
                    oldest_unacked=oldest.decode() or None,
                    consumers=readers,
                )
            found.append(StreamState(event, length, copies, backlogs, ReplayState.read(replies.flat(replays))))
        return found

    async def dead_letters(self, pair: Pair, *, start: str = "-", end: str = "+", limit: int = 100) -> list[DeadLetter]:
        """See Ledger."""
        key = dead_key(pair)
        [rows] = await self._run("read dead letters", [(key, ("XRANGE", key, start, end, "COUNT", limit))])
        return [DeadLetter.decode(pair, entry_id.decode(), replies.flat(fields)) for entry_id, fields in rows]

    async def requeue(self, pair: Pair, letter_id: str, now: float) -> bool:
        """See Ledger."""
        event, group = pair
        keys, args = (*pair_keys(pair), dead_key(pair)), (group, letter_id, repr(now), scripts.HANDED_BACK)
        [reply] = await self._eval("requeue a dead letter", [(ledger_scripts.REQUEUE, keys, args)])
        code = replies.unless_missing(reply, int)  # None: the group is gone
        if code not in (0, 1):
            code = await self._resend(pair, letter_id)
        if code:
            self._grown(event)
        return bool(code)

    async def _resend(self, pair: Pair, letter_id: str) -> int:
        """Send a dead letter whose entry was trimmed again, for its group alone; 0 where another was quicker."""
        event, group = pair
        found = await self.dead_letters(pair, start=letter_id, end=letter_id, limit=1)
        if not found:
            return 0
        where = f"{event}/{group}/{letter_id}"
        if not found[0].fields:
            raise BusError(Problem("nothing is left of it but its reason", where, "drop it"))
        if len(found[0].fields) > FIELDS:
            raise BusError(Problem("its entry has too many fields to be sent again", where, "drop it"))
        fields = {**found[0].fields, b"targetgroup": group.encode()}
        keys, args = (STREAM + event, dead_key(pair), copies_key(event)), (group, letter_id, *words(fields))
        [reply] = await self._eval("requeue a dead letter", [(ledger_scripts.RESEND, keys, args)])
        return int(replies.parsed(reply))

    async def drop(self, pair: Pair, letter_id: str) -> bool:
        """See Ledger."""
        key = dead_key(pair)
        [gone] = await self._run("drop a dead letter", [(key, ("XDEL", key, letter_id))])
        return bool(gone)

    async def trim(
        self, event: str, maxlen: int, *, retain: float = 0.0, now: float = 0.0, exact: bool = False
    ) -> Retained:
        """See Ledger."""
        keys, chunk, trimmed = (STREAM + event, copies_key(event), replays_key(event)), CHUNK, 0
        while True:
            args = (maxlen, chunk, "=" if exact else "~", repr(retain), repr(now))
            [reply] = await self._eval("trim", [(ledger_scripts.TRIM, keys, args)])
            step, dropped, length, copies, holder, oldest, larger = replies.parsed(reply)
            trimmed += step
            if larger:
                chunk *= 10
            elif not step and dropped < 1000:
                return Retained(event, trimmed, length, copies, holder.decode() or None, oldest.decode() or None)

    async def length(self, event: str) -> int:
        """See Ledger."""
        [length] = await self._run("measure a stream", [(STREAM + event, ("XLEN", STREAM + event))])
        return int(length)

    async def forget(self, pair: Pair) -> bool:
        """See Ledger."""
        keys = (*pair_keys(pair), dead_key(pair), replays_key(pair[0]))
        [reply] = await self._eval("forget a group", [(ledger_scripts.FORGET, keys, (pair[1],))])
        return bool(replies.parsed(reply))

    async def _groups(self, only: str | None) -> dict[str, list[str]]:
        """Return every event with the groups that its stream has, or had when they left dead letters."""
        async with replies.speaking("list events"):
            keys = [key.decode() async for key in self.client.scan_iter(f"{STREAM}{only or '*'}", 1000, _type="stream")]
            pattern = f"dead:{{{STREAM}{only or '*'}}}:*"
            buried = [key.decode() async for key in self.client.scan_iter(pattern, 1000, _type="stream")]
        found: dict[str, set[str]] = {key.removeprefix(STREAM): set() for key in keys}
        for key in buried:
            event, _, group = key.removeprefix(f"dead:{{{STREAM}").partition("}:")
            found.setdefault(event, set()).add(group)
        calls = [(ledger_scripts.GROUPS, (STREAM + event,), ()) for event in found]
        for event, reply in zip(found, await self._eval("list groups", calls), strict=True):
            found[event].update(name.decode() for name in replies.parsed(reply))
        return {event: sorted(found[event]) for event in sorted(found)}

    async def _after(self, event: str, entry_id: str) -> int:
        """Count the entries after one of the stream, where the server does not know."""
        total, start = 0, entry_id
        while True:
            args = (f"({start}", COUNTED)
            [reply] = await self._eval("count entries", [(ledger_scripts.COUNT, (STREAM + event,), args)])
            count, last = replies.parsed(reply)
            total += int(count)
            if not last:
                return total
            start = last.decode()
