-- Put before every script: what a hold is, how it is found, and the one way in which it ends.
--
-- {kh}:hold:<request>      hash: scope, key, at, receipt, cost; minute and tokens when tokens are limited;
--                          parallel when a slot is taken; "@<counter>" = nano-dollars held on that counter
-- {kh}:leases              sorted set: request by the end of its lease (ms)
-- {kh}:running:<scope>     sorted set: the same, of the requests that take a slot of the scope
-- {kh}:requests:<scope>:<minute>, {kh}:tokens:<scope>:<minute>   strings, gone at the end of the minute
-- {kh}:budget:<counter>    hash: spent, held, start, end (µs; end is empty when there is none)
-- {kh}:counters:<key>      sorted set: the counters of a key by the end of their windows (ms)
-- {kh}:receipts            stream: receipt, key, cost, at (µs), counted (1 when counters moved with it)
-- {kh}:born                when this data set was first seen (ms): a window begun before may have lost its counter
--
-- Amounts are integers below 2^53, which a double holds exactly and "%.17g" prints without an exponent. They are
-- negated as 0 - x: Redis 7.0 prints the double -0 as "-0", and then refuses it as no integer. Microseconds have 16
-- digits, which ".." would round: they are passed on as the text they came as.

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function budget_key(counter)
  return '{kh}:budget:' .. counter
end

local function find_hold(request)
  local flat = redis.call('HGETALL', '{kh}:hold:' .. request)
  if #flat == 0 then
    return nil
  end
  local hold, amounts = {}, {}
  for i = 1, #flat, 2 do
    local field = flat[i]
    if string.byte(field) == 64 then
      amounts[string.sub(field, 2)] = tonumber(flat[i + 1])
    else
      hold[field] = flat[i + 1]
    end
  end
  hold.amounts = amounts
  return hold
end

-- Exchanges a hold for what it came to: cost (text) and tokens (number; nil leaves the estimate).
local function end_hold(request, hold, cost, tokens)
  for counter, amount in pairs(hold.amounts) do
    local key = budget_key(counter)
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
  if hold.tokens and tokens then
    local change = tokens - hold.tokens
    local key = '{kh}:tokens:' .. hold.scope .. ':' .. hold.minute
    if change ~= 0 and math.floor(now_ms() / 60000) == tonumber(hold.minute) and redis.call('EXISTS', key) == 1 then
      redis.call('INCRBY', key, change)
    end
  end
  if hold.parallel then
    redis.call('ZREM', '{kh}:running:' .. hold.scope, request)
  end
  redis.call('ZREM', '{kh}:leases', request)
  redis.call('DEL', '{kh}:hold:' .. request)
end

local function append_receipt(receipt, key, cost, at, counted)
  redis.call('XADD', '{kh}:receipts', '*', 'receipt', receipt, 'key', key, 'cost', cost, 'at', at, 'counted', counted)
end

-- Makes the counter of a window, and notes it among the counters of its key. start and ending are µs as text.
local function open_counter(counter, key, window, spent, held, now)
  local name, ends = budget_key(counter), '+inf'
  redis.call('HSET', name, 'spent', spent, 'held', held, 'start', window.start, 'end', window.ending)
  if window.ending ~= '' then
    -- An hour longer than the window: what is settled late finds its counter, what is never asked for again goes.
    ends = math.max(math.floor(tonumber(window.ending) / 1000), now) + 3600000
    redis.call('PEXPIREAT', name, ends)
  end
  local counters = '{kh}:counters:' .. key
  redis.call('ZREMRANGEBYSCORE', counters, '-inf', now)
  redis.call('ZADD', counters, ends, counter)
end
