-- Adds receipts that no counter has seen to the counters of their key.
-- KEYS: the counters of the key. ARGV: for each receipt its time µs, its cost
for _, counter in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local window = redis.call('HMGET', budget_key(counter), 'start', 'end')
  if window[1] then
    local start, ending = tonumber(window[1]), tonumber(window[2])
    for i = 1, #ARGV, 2 do
      local at = tonumber(ARGV[i])
      if at >= start and (not ending or at < ending) then
        redis.call('HINCRBY', budget_key(counter), 'spent', ARGV[i + 1])
      end
    end
  end
end
return 1
