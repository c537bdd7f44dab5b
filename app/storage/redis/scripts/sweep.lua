-- Books what dead processes left: each hold whose lease has ended becomes its orphan's receipt.
-- KEYS: the leases. ARGV: how many at most. Returns how many were booked.
local now = now_ms()
redis.call('SET', '{kh}:born', now, 'NX')
local booked = 0
for _, request in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local hold = find_hold(request)
  if hold then
    end_hold(request, hold, hold.cost, nil)
    append_receipt(hold.receipt, hold.key, hold.cost, hold.at, '1')
    booked = booked + 1
  else
    redis.call('ZREM', KEYS[1], request)
  end
end
return booked
