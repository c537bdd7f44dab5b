-- Gives back what a request holds: nothing was spent. It stays counted among the requests of its minute.
-- KEYS: the hold, the leases. ARGV: request. Returns 1 when there was a hold.
local hold = redis.call('GETDEL', KEYS[1])
if not hold then
  return 0
end
end_hold(ARGV[1], hold, '0', 0, math.floor(redis.call('TIME')[1] / 60))
return 1
