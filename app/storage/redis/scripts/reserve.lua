-- Admits a request against all its limits at once, or changes nothing.
-- KEYS: its hold, the leases, the budget counters (which declare the slot on a cluster)
-- ARGV: request, scope, requests/min, tokens/min, parallel (empty is no limit), tokens, lease ms,
--       receipt if orphaned, its cost, key, its time µs;
--       then for each budget: counter, limit, hold, start µs, end µs or empty, whether counting began by the start
-- Returns verdict, requests used, tokens used, s to the end of the minute, s to wait, number of the budget refused,
--         then spent and held of each budget that was looked at.
local ADMITTED, REQUESTS, TOKENS, CONCURRENCY, BUDGET, BUDGET_HELD, MISSING = 0, 1, 2, 3, 4, 5, 6
local CLOCK_DOUBT_MS, FIRST_BUDGET, BUDGET_SIZE = 5000, 12, 6
local NEVER_S = 31536000

local request, scope = ARGV[1], ARGV[2]
local requests_limit, tokens_limit, parallel_limit = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local tokens, lease_ms = tonumber(ARGV[6]), tonumber(ARGV[7])
local key = ARGV[10]

if redis.call('EXISTS', KEYS[1]) == 1 then
  -- Asked again, as the first answer was lost: that hold goes, this one takes its place.
  end_hold(request, find_hold(request), '0', 0)
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local minute = math.floor(time[1] / 60)
local reset_s = 60 - time[1] % 60
local answer = {ADMITTED, 0, 0, reset_s, 0, 0}

local function refuse(verdict, retry_s, number)
  answer[1], answer[5], answer[6] = verdict, retry_s, number or 0
  return answer
end

local requests_key = '{kh}:requests:' .. scope .. ':' .. minute
local tokens_key = '{kh}:tokens:' .. scope .. ':' .. minute
if requests_limit then
  answer[2] = tonumber(redis.call('GET', requests_key) or 0)
end
if tokens_limit then
  answer[3] = tonumber(redis.call('GET', tokens_key) or 0)
end
if requests_limit and answer[2] + 1 > requests_limit then
  return refuse(REQUESTS, reset_s)
end
-- An estimate above the whole limit is let through when it is alone, or it never would be.
if tokens_limit and answer[3] + tokens > tokens_limit and (answer[3] > 0 or tokens_limit <= 0) then
  return refuse(TOKENS, reset_s)
end
if parallel_limit and redis.call('ZCOUNT', '{kh}:running:' .. scope, '(' .. now, '+inf') >= parallel_limit then
  return refuse(CONCURRENCY, 1)
end

local function counter_may_start_at_zero(start_us, counted_from_start)
  local born = redis.call('GET', '{kh}:born')
  if not born then
    redis.call('SET', '{kh}:born', now)
    return false
  end
  return counted_from_start == '1' and (tonumber(born) + CLOCK_DOUBT_MS) * 1000 <= tonumber(start_us)
end

local budgets = {}
for number = 1, (#ARGV - FIRST_BUDGET + 1) / BUDGET_SIZE do
  local at = FIRST_BUDGET + (number - 1) * BUDGET_SIZE
  local limit, hold = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local values = redis.call('HMGET', KEYS[2 + number], 'spent', 'held')
  local fresh = not values[1]
  if fresh and not counter_may_start_at_zero(ARGV[at + 3], ARGV[at + 5]) then
    return refuse(MISSING, 0, number)
  end
  local spent, held = tonumber(values[1] or 0), tonumber(values[2] or 0)
  answer[#answer + 1], answer[#answer + 2] = spent, held
  if spent >= limit then
    local ending = tonumber(ARGV[at + 4])
    local wait_s = ending and math.max(1, math.ceil((ending / 1000 - now) / 1000)) or NEVER_S
    return refuse(BUDGET, wait_s, number)
  end
  if spent + held + hold > limit then
    if held > 0 then
      return refuse(BUDGET_HELD, 1, number)
    end
    -- Nothing else runs: a careful estimate must not refuse what may well fit.
    hold = limit - spent
  end
  budgets[number] = {counter = ARGV[at], key = KEYS[2 + number], hold = hold, held = held, fresh = fresh,
    window = {start = ARGV[at + 3], ending = ARGV[at + 4]}}
end

local fields = {'scope', scope, 'key', key, 'at', ARGV[11], 'receipt', ARGV[8], 'cost', ARGV[9]}
local function note(field, value)
  fields[#fields + 1] = field
  fields[#fields + 1] = value
end

if requests_limit then
  answer[2] = redis.call('INCR', requests_key)
  if answer[2] == 1 then
    redis.call('PEXPIREAT', requests_key, (minute + 1) * 60000)
  end
end
if tokens_limit then
  if answer[3] == 0 then
    redis.call('SET', tokens_key, tokens, 'PXAT', (minute + 1) * 60000)
  else
    redis.call('INCRBY', tokens_key, tokens)
  end
  answer[3] = answer[3] + tokens
  note('minute', minute)
  note('tokens', tokens)
end
if parallel_limit then
  redis.call('ZADD', '{kh}:running:' .. scope, now + lease_ms, request)
  note('parallel', 1)
end
for number, budget in ipairs(budgets) do
  if budget.fresh then
    open_counter(budget.counter, key, budget.window, 0, budget.hold, now)
  elseif budget.hold > 0 then
    redis.call('HINCRBY', budget.key, 'held', budget.hold)
  end
  answer[6 + 2 * number] = budget.held + budget.hold
  note('@' .. budget.counter, budget.hold)
end
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('ZADD', KEYS[2], now + lease_ms, request)
return answer
