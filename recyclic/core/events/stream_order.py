"""Which of two stream entries comes first, in Lua: ids do not compare as text."""

from __future__ import annotations

BEFORE = """
local function smaller(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end
local function before(a, b)
  local a_time, a_count = string.match(a, '^(%d+)-(%d+)$')
  local b_time, b_count = string.match(b, '^(%d+)-(%d+)$')
  if a_time ~= b_time then return smaller(a_time, b_time) end
  return smaller(a_count, b_count)
end
"""
