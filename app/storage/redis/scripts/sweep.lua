-- Books what dead processes left: each hold whose lease has ended becomes its orphan's receipt.
-- KEYS: the leases. ARGV: how many at most. Returns how many were booked.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', '{kh}:born', now, 'NX')
local booked = 0
for _, request in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local hold = redis.call('GETDEL', '{kh}:hold:' .. request)
  if hold then
    local scopes, at, cost, receipt = string.match(hold, '\n(%S+) (%S+) (%S+)\n(.*)$')
    end_hold(request, hold, cost, nil, nil)
    redis.call('XADD', '{kh}:receipts', '*', 'receipt', receipt, 'key', scopes, 'cost', cost, 'at', at, 'counted', '1')
    booked = booked + 1
  else
    redis.call('ZREM', KEYS[1], request)
  end
end
return booked
