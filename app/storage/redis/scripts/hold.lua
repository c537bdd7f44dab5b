-- Put before every script: what a hold is, and the one way in which it ends.
--
-- {kh}:hold:<request>      text of three lines: what ends it, in words: scope, minute, tokens (- when they are not
--                          limited), 1 when a slot is taken or 0, then counter and nano-dollars held on it, and so on;
--                          key, time (µs) and cost of the receipt if orphaned; that receipt
-- {kh}:leases              sorted set: request by the end of its lease (ms)
-- {kh}:running:<scope>     sorted set: the same, of the requests that take a slot of the scope
-- {kh}:minute:<scope>:<minute>   hash: requests, tokens; gone at the end of the minute
-- {kh}:budget:<counter>    hash: spent, held, start, end (µs; end is empty when there is none)
-- {kh}:counters:<key>      sorted set: the counters of a key by the end of their windows (ms)
-- {kh}:receipts            stream: receipt, key, cost, at (µs), counted (1 when counters moved with it)
-- {kh}:born                when this data set was first seen (ms): a window begun before may have lost its counter
--
-- Amounts are integers below 2^53, which a double holds exactly and "%.17g" prints without an exponent. They are
-- negated as 0 - x: Redis 7.0 prints the double -0 as "-0", and then refuses it as no integer. Microseconds have 16
-- digits, which ".." would round: they are passed on as the text they came as, amounts are written with "%.0f".

local function words_of(hold)
  local words = {}
  for word in string.gmatch(string.match(hold, '^[^\n]*'), '%S+') do
    words[#words + 1] = word
  end
  return words
end

-- Exchanges a hold, which the caller has deleted, for what it came to: cost (text) and tokens (number; nil leaves the
-- estimate). minute is the present one.
local function end_hold(request, hold, cost, tokens, minute)
  local words = words_of(hold)
  for i = 5, #words, 2 do
    local key, amount = '{kh}:budget:' .. words[i], tonumber(words[i + 1])
    local held = redis.call('HGET', key, 'held')
    if held then
      if amount > 0 then
        redis.call('HINCRBY', key, 'held', 0 - math.min(amount, tonumber(held)))
      end
      if cost ~= '0' then
        redis.call('HINCRBY', key, 'spent', cost)
      end
    end
  end
  -- The counts of a minute that is over are gone with it.
  if tokens and tonumber(words[2]) == minute and words[3] ~= '-' then
    redis.call('HINCRBY', '{kh}:minute:' .. words[1] .. ':' .. words[2], 'tokens', tokens - words[3])
  end
  if words[4] == '1' then
    redis.call('ZREM', '{kh}:running:' .. words[1], request)
  end
  redis.call('ZREM', '{kh}:leases', request)
end
