-- Put before every script: what a hold is, and the one way in which it ends.
--
-- {kh}:hold:<request>      text of three lines: what ends it, in words: its minute, then in pairs #scope and tokens,
--                          %scope and 1 for a slot that is taken, counter and nano-dollars held on it;
--                          scopes, time (µs) and cost of the receipt if orphaned; that receipt
-- {kh}:leases              sorted set: request by the end of its lease (ms)
-- {kh}:running:<scope>     sorted set: the same, of the requests that take a slot of the scope
-- {kh}:minute:<scope>:<minute>   hash: requests, tokens; gone at the end of the minute. Of limits in a longer window
--                          the scope ends with its seconds (team:red@3600), and the window is counted in these
-- {kh}:budget:<counter>    hash: spent, held, start, end (µs; end is empty when there is none)
-- {kh}:counters:<scope>    sorted set: the counters of a scope by the end of their windows (ms)
-- {kh}:receipts            stream: receipt, key (its scopes), cost, at (µs), counted (1 when counters moved with it)
-- {kh}:owed                set: entries of that stream that no counter has seen and that are on their way into the book
-- {kh}:born                when this data set was first seen (ms): a window begun before may have lost its counter
--
-- A scope is a key's id, or names a level (team:red), a pool or a model of one of these. The scopes of a receipt are
-- joined by commas, the key's first.
--
-- Amounts are integers below 2^53, which a double holds exactly and "%.17g" prints without an exponent. They are
-- negated as 0 - x: Redis 7.0 prints the double -0 as "-0", and then refuses it as no integer. Microseconds have 16
-- digits, which ".." would round: they go to redis.call as they came, and amounts into text with "%d" or "%.0f".

-- The bytes # and %.
local TOKENS, SLOT = 35, 37

local function words_of(hold)
  local words = {}
  for word in string.gmatch(string.match(hold, '^[^\n]*'), '%S+') do
    words[#words + 1] = word
  end
  if not tonumber(words[1]) then
    -- Written before levels had limits: the key's scope, minute, tokens or -, 1 or 0 for its slot, then the pairs.
    local pairs_of_rates = {words[2]}
    if words[3] ~= '-' then
      pairs_of_rates = {words[2], '#' .. words[1], words[3]}
    end
    if words[4] == '1' then
      pairs_of_rates[#pairs_of_rates + 1] = '%' .. words[1]
      pairs_of_rates[#pairs_of_rates + 1] = '1'
    end
    for i = 5, #words do
      pairs_of_rates[#pairs_of_rates + 1] = words[i]
    end
    return pairs_of_rates
  end
  return words
end

local function has_scope(scopes, scope)
  return scopes and string.find(',' .. scopes .. ',', ',' .. scope .. ',', 1, true) ~= nil
end

-- Exchanges a hold, which the caller has deleted, for what it came to: cost (text) and tokens (number; nil leaves the
-- estimate). minute is the present one.
local function end_hold(request, hold, cost, tokens, minute)
  local words = words_of(hold)
  for i = 2, #words, 2 do
    local name, amount = words[i], words[i + 1]
    local mark = string.byte(name)
    if mark == TOKENS then
      -- The counts of a window that is over are gone with it.
      local minutes = (tonumber(string.match(name, '@(%d+)$')) or 60) / 60
      local window = math.floor(words[1] / minutes)
      if tokens and minute and window == math.floor(minute / minutes) then
        redis.call('HINCRBY', '{kh}:minute:' .. string.sub(name, 2) .. ':' .. window, 'tokens', tokens - amount)
      end
    elseif mark == SLOT then
      redis.call('ZREM', '{kh}:running:' .. string.sub(name, 2), request)
    else
      local key = '{kh}:budget:' .. name
      local values = redis.call('HMGET', key, 'held', 'spent')
      if values[1] then
        local left = math.max(values[1] - amount, 0)
        redis.call('HSET', key, 'held', left, 'spent', values[2] + cost)
      end
    end
  end
  redis.call('ZREM', '{kh}:leases', request)
end
