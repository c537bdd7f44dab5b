-- Put before the scripts that add to counters what they have not seen.

-- Adds a receipt to the counters of one scope in whose windows it is. at is µs, cost as text.
local function count_missed(counters, at, cost)
  for _, counter in ipairs(redis.call('ZRANGE', counters, 0, -1)) do
    local name = '{kh}:budget:' .. counter
    local window = redis.call('HMGET', name, 'start', 'end')
    if window[1] then
      local start, ending = tonumber(window[1]), tonumber(window[2])
      if at >= start and (not ending or at < ending) then
        redis.call('HINCRBY', name, 'spent', cost)
      end
    end
  end
end
