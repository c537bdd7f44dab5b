-- Put before the scripts that make counters.

-- Makes the counter of a window, and notes it among the counters of its scope. start and ending are µs as text.
local function open_counter(counter, scope, start, ending, spent, held, now)
  local name, ends = '{kh}:budget:' .. counter, '+inf'
  redis.call('HSET', name, 'spent', spent, 'held', held, 'start', start, 'end', ending)
  if ending ~= '' then
    -- An hour longer than the window: what is settled late finds its counter, what is never asked for again goes.
    ends = math.max(math.floor(tonumber(ending) / 1000), now) + 3600000
    redis.call('PEXPIREAT', name, ends)
  end
  local counters = '{kh}:counters:' .. scope
  redis.call('ZREMRANGEBYSCORE', counters, '-inf', now)
  redis.call('ZADD', counters, ends, counter)
end
