-- Stores an answer, and keeps all answers together within their room: what ends soonest leaves first.
-- KEYS: the answer, the index of all by their end, their sizes. ARGV: name, answer, its life in ms, room in bytes.
-- Returns 1 when it was stored. The field "total" of the sizes is their sum; names are never that short.
local name, answer, life, room = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local prefix = string.sub(KEYS[1], 1, -#name - 1)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function forget(names)
  for _, old in ipairs(names) do
    local size = redis.call('HGET', KEYS[3], old)
    if size then
      redis.call('HINCRBY', KEYS[3], 'total', -size)
      redis.call('HDEL', KEYS[3], old)
    end
    redis.call('ZREM', KEYS[2], old)
    redis.call('DEL', prefix .. old)
  end
end

forget({name})
forget(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 100))
local left = 100
while tonumber(redis.call('HGET', KEYS[3], 'total') or 0) + #answer > room do
  local soonest = redis.call('ZRANGE', KEYS[2], 0, 0)
  if left == 0 or #soonest == 0 then
    return 0
  end
  forget(soonest)
  left = left - 1
end
redis.call('SET', KEYS[1], answer, 'PX', life)
redis.call('ZADD', KEYS[2], now + life, name)
redis.call('HSET', KEYS[3], name, #answer)
redis.call('HINCRBY', KEYS[3], 'total', #answer)
return 1
