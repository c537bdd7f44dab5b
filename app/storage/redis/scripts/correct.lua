-- Adds receipts that no counter has seen to the counters of one scope.
-- KEYS: the counters of the scope. ARGV: for each receipt its time µs, its cost
for _, counter in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local name = '{kh}:budget:' .. counter
  local window = redis.call('HMGET', name, 'start', 'end')
  if window[1] then
    local start, ending = tonumber(window[1]), tonumber(window[2])
    for i = 1, #ARGV, 2 do
      local at = tonumber(ARGV[i])
      if at >= start and (not ending or at < ending) then
        redis.call('HINCRBY', name, 'spent', ARGV[i + 1])
      end
    end
  end
end
return 1
