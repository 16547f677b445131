"""The Lua scripts of the bus: what must be atomic about one event and one group. All keys of a script share a slot.

KEYS are always stream, retry (sorted set: entry → due time), attempts (hash: entry → attempts that ended badly,
`<entry>|t` → time of the first, `<entry>|e` → last error), and dead letters where a script writes them.
"""

from __future__ import annotations

HANDED_BACK = "handed-back"
"""The consumer that holds what a leaving process gave back. It never beats; its entries are all scheduled."""

# ARGV: group, consumer, entry... → for each 1 acked, 0 no longer pending, -1 held by another consumer
# Most were read in a row and are found by one look at what the consumer holds from the first on.
ACK = """
local held = {}
for _, row in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3] or '-', '+', #ARGV + 6, ARGV[2])) do
  held[row[1]] = true
end
local out, mine = {}, {}
for i = 3, #ARGV do
  if held[ARGV[i]] then out[i - 2] = 1; mine[#mine + 1] = ARGV[i]
  else
    local row = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)[1]
    if not row then out[i - 2] = 0
    elseif row[2] ~= ARGV[2] then out[i - 2] = -1
    else out[i - 2] = 1; mine[#mine + 1] = ARGV[i] end
  end
end
if #mine > 0 then
  redis.call('XACK', KEYS[1], ARGV[1], unpack(mine))
  if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('ZREM', KEYS[2], unpack(mine)) end
  if redis.call('EXISTS', KEYS[3]) == 1 then
    for _, id in ipairs(mine) do redis.call('HDEL', KEYS[3], id, id .. '|t', id .. '|e', id .. '|a') end
  end
end
return out
"""

# ARGV: group, consumer, entry, due, attempts, error, now → as ACK
SCHEDULE = """
local row = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)[1]
if not row then return 0 end
if row[2] ~= ARGV[2] then return -1 end
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
redis.call('HSET', KEYS[3], ARGV[3], ARGV[5], ARGV[3] .. '|e', ARGV[6])
redis.call('HSETNX', KEYS[3], ARGV[3] .. '|t', ARGV[7])
redis.call('HDEL', KEYS[3], ARGV[3] .. '|a')
return 1
"""

# ARGV: group, consumer, now, limit, horizon → {entry, attempts, fields or false}...
# What is due beyond the horizon was scheduled by a clock that was wrong, and is taken too.
TAKE_DUE = """
local out, due = {}, redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[3], 'LIMIT', 0, ARGV[4])
if #due == 0 then due = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[5], '+inf', 'LIMIT', 0, ARGV[4]) end
for _, id in ipairs(due) do
  redis.call('ZREM', KEYS[2], id)
  if #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1) == 0 then
    redis.call('HDEL', KEYS[3], id, id .. '|t', id .. '|e', id .. '|a')
  else
    local body = redis.call('XRANGE', KEYS[1], id, id)[1]
    if body then redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'JUSTID') end
    out[#out + 1] = {id, tonumber(redis.call('HGET', KEYS[3], id) or 0), body and body[2] or false}
  end
end
return out
"""

# ARGV: group, consumer, dead consumer, now, limit, max attempts → {rows seen, {entry, attempts, fields or false}...}
# Scheduled entries only change hands. Whatever the dead one may have been running counts one attempt more; what has
# already cost somebody an attempt, or a life, is claimed alone, so that a poison which kills its process takes nobody
# along. `<entry>|a` says that it was: no death in company is an entry's last attempt.
CLAIM = """
local rows = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 100, ARGV[3])
local out = {}
for _, row in ipairs(rows) do
  local id = row[1]
  local body = redis.call('XRANGE', KEYS[1], id, id)[1]
  local attempts = tonumber(redis.call('HGET', KEYS[3], id) or 0)
  if not body then
    redis.call('ZREM', KEYS[2], id)
    out[#out + 1] = {id, attempts, false}
  elseif redis.call('ZSCORE', KEYS[2], id) then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'JUSTID')
  else
    local suspect = attempts > 0 or redis.call('HEXISTS', KEYS[3], id .. '|t') == 1
    if #out >= tonumber(ARGV[5]) or (suspect and #out > 0) then break end
    local counted = attempts + 1
    if redis.call('HEXISTS', KEYS[3], id .. '|a') == 0 then counted = math.min(counted, tonumber(ARGV[6]) - 1) end
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'JUSTID')
    redis.call('HSET', KEYS[3], id, counted)
    redis.call('HSETNX', KEYS[3], id .. '|t', ARGV[4])
    out[#out + 1] = {id, counted, body[2]}
    if suspect then redis.call('HSET', KEYS[3], id .. '|a', 1) break end
  end
end
return {#rows, out}
"""

# ARGV: group, consumer, start, limit → {last entry seen or '', {entry, attempts, fields or false}...}
MINE = """
local rows = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], '+', ARGV[4], ARGV[2])
local out, last = {}, ''
for _, row in ipairs(rows) do
  last = row[1]
  if not redis.call('ZSCORE', KEYS[2], last) then
    local body = redis.call('XRANGE', KEYS[1], last, last)[1]
    out[#out + 1] = {last, tonumber(redis.call('HGET', KEYS[3], last) or 0), body and body[2] or false}
  end
end
return {last, out}
"""

# KEYS[4] dead letters; ARGV: group, consumer ('' for any), entry, now, field, value... → as ACK
DEAD = """
local row = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)[1]
if not row then return 0 end
if ARGV[2] ~= '' and row[2] ~= ARGV[2] then return -1 end
local first = redis.call('HGET', KEYS[3], ARGV[3] .. '|t') or ARGV[4]
local last = redis.call('HGET', KEYS[3], ARGV[3] .. '|e') or ''
redis.call('XADD', KEYS[4], '*', 'entry', ARGV[3], 'first_failed_at', first, 'dead_at', ARGV[4], 'previous_error', last,
  unpack(ARGV, 5))
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('ZREM', KEYS[2], ARGV[3])
redis.call('HDEL', KEYS[3], ARGV[3], ARGV[3] .. '|t', ARGV[3] .. '|e', ARGV[3] .. '|a')
return 1
"""

# ARGV: group, consumer, now, consumer that gets them → entries that could not be handed back
LEAVE = """
local start, left = '-', 0
while true do
  local rows = redis.call('XPENDING', KEYS[1], ARGV[1], start, '+', 200, ARGV[2])
  if #rows == 0 then break end
  for _, row in ipairs(rows) do
    local id = row[1]
    start = '(' .. id
    if redis.call('XRANGE', KEYS[1], id, id)[1] then
      redis.call('ZADD', KEYS[2], 'NX', ARGV[3], id)
      redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[4], 0, id, 'JUSTID')
    else left = left + 1 end
  end
end
if left == 0 then redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2]) end
return left
"""

# ARGV: group, consumer → 1 removed, 0 it still holds something
REMOVE = """
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1
"""
