-- What is used of rate limits now. KEYS: the leases (which declare the slot on a cluster)
-- ARGV: for each scope with limits: scope, s of the window. Returns for each of them: requests, tokens, running calls.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {}
for at = 1, #ARGV, 2 do
  local counts = redis.call(
    'HMGET', '{kh}:minute:' .. ARGV[at] .. ':' .. math.floor(time[1] / ARGV[at + 1]), 'requests', 'tokens'
  )
  local running = redis.call('ZCOUNT', '{kh}:running:' .. ARGV[at], '(' .. now, '+inf')
  answer[#answer + 1] = {tonumber(counts[1] or 0), tonumber(counts[2] or 0), running}
end
return answer
