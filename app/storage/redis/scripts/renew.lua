-- Extends the leases of running requests.
-- KEYS: the leases. ARGV: lease ms, then for each: request, receipt if orphaned (empty keeps the one there is), its cost
-- Returns the requests that hold nothing any more.
local ends = now_ms() + tonumber(ARGV[1])
local gone = {}

-- A call that has cost more than was held for it holds that much from now on.
local function grow(request, hold_key, cost)
  for counter, amount in pairs(find_hold(request).amounts) do
    if cost > amount then
      local key = budget_key(counter)
      if redis.call('EXISTS', key) == 1 then
        redis.call('HINCRBY', key, 'held', cost - amount)
        redis.call('HSET', hold_key, '@' .. counter, cost)
      end
    end
  end
end

for i = 2, #ARGV, 3 do
  local request, receipt = ARGV[i], ARGV[i + 1]
  local hold_key = '{kh}:hold:' .. request
  local hold = redis.call('HMGET', hold_key, 'scope', 'parallel')
  if not hold[1] then
    gone[#gone + 1] = request
  else
    redis.call('ZADD', KEYS[1], ends, request)
    if hold[2] then
      redis.call('ZADD', '{kh}:running:' .. hold[1], ends, request)
    end
    if receipt ~= '' then
      redis.call('HSET', hold_key, 'receipt', receipt, 'cost', ARGV[i + 2])
      grow(request, hold_key, tonumber(ARGV[i + 2]))
    end
  end
end
return gone
