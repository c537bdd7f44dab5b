-- Extends the leases of running requests.
-- KEYS: the leases. ARGV: lease ms, then for each: request, the end of its hold if orphaned (empty keeps the one there
-- is), its cost. Returns the requests that hold nothing any more.
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
local gone = {}

-- A call that has cost more than was held for it holds that much from now on.
local function grow(words, cost)
  for i = 2, #words, 2 do
    local mark = string.byte(words[i])
    if mark ~= TOKENS and mark ~= SLOT then
      local key, more = '{kh}:budget:' .. words[i], cost - words[i + 1]
      if more > 0 and redis.call('EXISTS', key) == 1 then
        redis.call('HINCRBY', key, 'held', more)
        words[i + 1] = string.format('%.0f', cost)
      end
    end
  end
end

for i = 2, #ARGV, 3 do
  local request, orphan = ARGV[i], ARGV[i + 1]
  local name = '{kh}:hold:' .. request
  local hold = redis.call('GET', name)
  if not hold then
    gone[#gone + 1] = request
  else
    local words = words_of(hold)
    redis.call('ZADD', KEYS[1], ends, request)
    for at = 2, #words, 2 do
      if string.byte(words[at]) == SLOT then
        redis.call('ZADD', '{kh}:running:' .. string.sub(words[at], 2), ends, request)
      end
    end
    if orphan ~= '' then
      grow(words, tonumber(ARGV[i + 2]))
      redis.call('SET', name, table.concat(words, ' ') .. '\n' .. orphan)
    end
  end
end
return gone
