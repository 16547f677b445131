"""The Lua scripts of the operators' half: requeue, trim, forget, replay, import. All keys of a script share a slot.

Beside the keys of `scripts.py` there are, for each event, a list of copies (entries with a `targetgroup`, oldest first)
and a hash of replays (`<group>` → the last entry that was looked at, `<group>|…` → what it was asked for).
"""

from __future__ import annotations

from recyclic.core.events.stream_order import BEFORE

_COPY = """
local function copy(stream, copies, fields)
  local id = redis.call('XADD', stream, '*', unpack(fields))
  redis.call('RPUSH', copies, id)
  return id
end
"""

# KEYS[4] dead letters; ARGV: group, dead letter, now, consumer that gets it → 1 done, 0 unknown, -1 the entry is gone
REQUEUE = """
local letter = redis.call('XRANGE', KEYS[4], ARGV[2], ARGV[2])[1]
if not letter then return 0 end
local id
for i = 1, #letter[2], 2 do if letter[2][i] == 'entry' then id = letter[2][i + 1] end end
if not id or not string.match(id, '^%d+%-%d+$') or not redis.call('XRANGE', KEYS[1], id, id)[1] then return -1 end
redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[4], 0, id, 'FORCE', 'JUSTID')
redis.call('HDEL', KEYS[3], id, id .. '|t', id .. '|e', id .. '|a')
redis.call('ZADD', KEYS[2], ARGV[3], id)
redis.call('XDEL', KEYS[4], ARGV[2])
return 1
"""

# KEYS: stream, dead letters, copies; ARGV: group, dead letter, field, value... → 1 sent again, 0 there was none
# A group that is missing is created as a host would, so that there is someone whom the copy waits for.
RESEND = (
    _COPY
    + """
if not redis.call('XRANGE', KEYS[2], ARGV[2], ARGV[2])[1] then return 0 end
redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
copy(KEYS[1], KEYS[3], {unpack(ARGV, 3)})
redis.call('XDEL', KEYS[2], ARGV[2])
return 1
"""
)

# KEYS: stream, copies, replays; ARGV: maxlen, chunk, '~' or '=', seconds to retain, now
# → {trimmed, copies dropped, length, copies, who holds the oldest entry or '', that entry or '', 1 for a larger chunk}
#
# Copies that every group has acked go first, and never count as history. Of the history goes what lies beyond maxlen,
# is older than the time to retain by the server's clock and by ours, and that no group and no replay waits for.
TRIM = (
    BEFORE
    + """
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[2])
  return {0, 0, 0, 0, '', '', 0}
end
local floor, holder
local function hold(id, who)
  if id and (not floor or before(id, floor)) then floor, holder = id, who end
end
local function after(id)
  local entry = redis.call('XRANGE', KEYS[1], '(' .. id, '+', 'COUNT', 1)[1]
  return entry and entry[1]
end
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = {}
  for i = 1, #flat, 2 do group[flat[i]] = flat[i + 1] end
  if tonumber(group['pending']) > 0 then hold(redis.call('XPENDING', KEYS[1], group['name'])[2], group['name']) end
  hold(after(group['last-delivered-id']), group['name'])
end
local replays = redis.call('HGETALL', KEYS[3])
for i = 1, #replays, 2 do
  if not string.find(replays[i], '|', 1, true) then hold(after(replays[i + 1]), 'replay:' .. replays[i]) end
end
local dropped = 0
while dropped < 1000 do
  local id = redis.call('LINDEX', KEYS[2], 0)
  if not id or (floor and not before(id, floor)) then break end
  redis.call('XDEL', KEYS[1], id)
  redis.call('LPOP', KEYS[2])
  dropped = dropped + 1
end
local chunk, copies = tonumber(ARGV[2]), redis.call('LLEN', KEYS[2])
local excess = redis.call('XLEN', KEYS[1]) - copies - tonumber(ARGV[1])
local trimmed, larger = 0, 0
if excess > 0 then
  local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', math.min(excess + 1, chunk))
  local cut, short = oldest[#oldest][1], excess + 1 > chunk
  if tonumber(ARGV[4]) > 0 then
    local now = math.min(tonumber(redis.call('TIME')[1]), tonumber(ARGV[5]))
    local young = string.format('%.0f-0', math.max(0, (now - tonumber(ARGV[4])) * 1000))
    if before(young, cut) then cut, short = young, false end
  end
  if floor and before(floor, cut) then cut, short = floor, false end
  trimmed = redis.call('XTRIM', KEYS[1], 'MINID', ARGV[3], cut)
  if trimmed == 0 and short then larger = 1 end
end
return {trimmed, dropped, redis.call('XLEN', KEYS[1]), copies, holder or '', floor or '', larger}
"""
)

# KEYS: stream → the names of its groups
GROUPS = """
local names = {}
if redis.call('EXISTS', KEYS[1]) == 0 then return names end
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  for i = 1, #flat, 2 do if flat[i] == 'name' then names[#names + 1] = flat[i + 1] end end
end
return names
"""

# KEYS: stream, copies, replays, then retry and dead letters of each group; ARGV: groups
# → {length, copies, replays, {exists, pending, lag or -1, last delivered, oldest unacked or '', retrying, dead, newest
#    dead letter or '', consumers}...}
STANDING = (
    BEFORE
    + """
local exists = redis.call('EXISTS', KEYS[1]) == 1
local known, out = {}, {redis.call('XLEN', KEYS[1]), redis.call('LLEN', KEYS[2]), redis.call('HGETALL', KEYS[3])}
for _, flat in ipairs(exists and redis.call('XINFO', 'GROUPS', KEYS[1]) or {}) do
  local group = {}
  for i = 1, #flat, 2 do group[flat[i]] = flat[i + 1] end
  known[group['name']] = group
end
for i, name in ipairs(ARGV) do
  local group, retry, dead = known[name], KEYS[2 + 2 * i], KEYS[3 + 2 * i]
  local newest = redis.call('XREVRANGE', dead, '+', '-', 'COUNT', 1)[1]
  local row = {0, 0, 0, '0-0', '', redis.call('ZCARD', retry), redis.call('XLEN', dead), newest and newest[1] or '', 0}
  if group then
    local after = redis.call('XRANGE', KEYS[1], '(' .. group['last-delivered-id'], '+', 'COUNT', 1)[1]
    local oldest = after and after[1]
    if tonumber(group['pending']) > 0 then
      local pending = redis.call('XPENDING', KEYS[1], name)[2]
      if not oldest or before(pending, oldest) then oldest = pending end
    end
    row[1], row[2], row[4], row[5] = 1, tonumber(group['pending']), group['last-delivered-id'], oldest or ''
    row[3] = not after and 0 or tonumber(group['lag'] or -1) or -1
    row[9] = tonumber(group['consumers'])
  end
  out[#out + 1] = row
end
return out
"""
)

# KEYS: stream; ARGV: start, limit → {entries from start on, the last of them or ''}
COUNT = """
local rows = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
return {#rows, #rows > 0 and rows[#rows][1] or ''}
"""

# KEYS: stream, retry, attempts, dead letters, replays; ARGV: group → 1 there was something of it, 0 there was not
FORGET = """
local gone = 0
if redis.call('EXISTS', KEYS[1]) == 1 then gone = redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1]) end
gone = gone + redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
for _, name in ipairs(redis.call('HKEYS', KEYS[5])) do
  if name == ARGV[1] or string.sub(name, 1, #ARGV[1] + 1) == ARGV[1] .. '|' then
    gone = gone + redis.call('HDEL', KEYS[5], name)
  end
end
return gone > 0 and 1 or 0
"""

# KEYS: stream, replays; ARGV: group, entry before the first, last entry or '+', name, value...
# → 1 begun, 0 there is one already, -1 there is no such group
BEGIN_REPLAY = (
    BEFORE
    + """
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
local known = false
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  for i = 1, #flat, 2 do if flat[i] == 'name' and flat[i + 1] == ARGV[1] then known = true end end
end
if not known then return -1 end
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return 0 end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local last = newest and newest[1] or '0-0'
if ARGV[3] ~= '+' and before(ARGV[3], last) then last = ARGV[3] end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2], ARGV[1] .. '|end', last, ARGV[1] .. '|sent', 0)
for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[1] .. '|' .. ARGV[i], ARGV[i + 1]) end
return 1
"""
)

# KEYS: stream, replays, copies; ARGV: group, where it stands, where it will stand, entry... → sent, or -1: not there
REPLAY = (
    _COPY
    + """
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return -1 end
local sent = 0
for i = 4, #ARGV do
  local body = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  if body then
    local fields = {}
    for j = 1, #body[2], 2 do
      if body[2][j] ~= 'targetgroup' and body[2][j] ~= 'replayed' then
        fields[#fields + 1], fields[#fields + 2] = body[2][j], body[2][j + 1]
      end
    end
    fields[#fields + 1], fields[#fields + 2] = 'replayed', 'true'
    fields[#fields + 1], fields[#fields + 2] = 'targetgroup', ARGV[1]
    copy(KEYS[1], KEYS[3], fields)
    sent = sent + 1
  end
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
redis.call('HINCRBY', KEYS[2], ARGV[1] .. '|sent', sent)
return sent
"""
)

# KEYS: replays; ARGV: group → 1 ended, 0 there was none
END_REPLAY = """
local gone = 0
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  if name == ARGV[1] or string.sub(name, 1, #ARGV[1] + 1) == ARGV[1] .. '|' then
    gone = redis.call('HDEL', KEYS[1], name)
  end
end
return gone
"""

# KEYS: stream, copies; ARGV: group, field, value... → 1 sent, 0 there is no such group
SEND_COPY = (
    _COPY
    + """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  for i = 1, #flat, 2 do
    if flat[i] == 'name' and flat[i + 1] == ARGV[1] then
      copy(KEYS[1], KEYS[2], {unpack(ARGV, 2)})
      return 1
    end
  end
end
return 0
"""
)

# KEYS: stream; ARGV: entry id, field that makes it the same one, field, value...
# → 1 written under its id, 2 under a new one because later entries exist, 0 it is there already
RESTORE = (
    BEFORE
    + """
local same
for i = 3, #ARGV, 2 do if ARGV[i] == ARGV[2] then same = ARGV[i + 1] end end
local there = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if there then
  for i = 1, #there[2], 2 do if there[2][i] == ARGV[2] and there[2][i + 1] == same then return 0 end end
end
local last = '0-0'
if redis.call('EXISTS', KEYS[1]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do if info[i] == 'last-generated-id' then last = info[i + 1] end end
end
if before(last, ARGV[1]) then
  redis.call('XADD', KEYS[1], ARGV[1], unpack(ARGV, 3))
  return 1
end
redis.call('XADD', KEYS[1], '*', unpack(ARGV, 3))
return 2
"""
)
