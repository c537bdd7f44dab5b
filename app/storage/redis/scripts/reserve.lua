-- Admits a request against all its limits at once, or changes nothing.
-- KEYS: its hold, the leases, the budget counters (which declare the slot on a cluster)
-- ARGV: request, scope, requests/min, tokens/min, parallel (empty is no limit), tokens, lease ms, key,
--       the end of its hold (key, time µs and cost of the receipt if orphaned; that receipt);
--       then for each budget: counter, limit, hold, start µs, end µs or empty, whether counting began by the start
-- Returns verdict, requests used, tokens used, s to the end of the minute, s to wait, number of the budget refused,
--         then spent and held of each budget that was looked at.
local ADMITTED, REQUESTS, TOKENS, CONCURRENCY, BUDGET, BUDGET_HELD, MISSING = 0, 1, 2, 3, 4, 5, 6
local CLOCK_DOUBT_MS, FIRST_BUDGET, BUDGET_SIZE = 5000, 10, 6
local NEVER_S = 31536000

local request, scope = ARGV[1], ARGV[2]
local requests_limit, tokens_limit, parallel_limit = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local tokens, lease_ms = tonumber(ARGV[6]), tonumber(ARGV[7])
local key = ARGV[8]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local minute = math.floor(time[1] / 60)
local reset_s = 60 - time[1] % 60
local answer = {ADMITTED, 0, 0, reset_s, 0, 0}

if redis.call('EXISTS', KEYS[1]) == 1 then
  -- Asked again, as the first answer was lost: that hold goes, this one takes its place.
  end_hold(request, redis.call('GETDEL', KEYS[1]), '0', 0, minute)
end

local function refuse(verdict, retry_s, number)
  answer[1], answer[5], answer[6] = verdict, retry_s, number or 0
  return answer
end

local minute_key, counts
if requests_limit or tokens_limit then
  minute_key = '{kh}:minute:' .. scope .. ':' .. minute
  counts = redis.call('HMGET', minute_key, 'requests', 'tokens')
  answer[2], answer[3] = tonumber(counts[1] or 0), tonumber(counts[2] or 0)
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

local holds, fresh = {}, {}
for number = 1, (#ARGV - FIRST_BUDGET + 1) / BUDGET_SIZE do
  local at = FIRST_BUDGET + (number - 1) * BUDGET_SIZE
  local limit, hold = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local values = redis.call('HMGET', KEYS[2 + number], 'spent', 'held')
  fresh[number] = not values[1]
  if fresh[number] and not counter_may_start_at_zero(ARGV[at + 3], ARGV[at + 5]) then
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
  holds[number] = hold
end

if minute_key then
  answer[2], answer[3] = answer[2] + 1, answer[3] + (tokens_limit and tokens or 0)
  redis.call('HSET', minute_key, 'requests', answer[2], 'tokens', answer[3])
  if not counts[1] then
    redis.call('PEXPIREAT', minute_key, (minute + 1) * 60000)
  end
end
if parallel_limit then
  redis.call('ZADD', '{kh}:running:' .. scope, now + lease_ms, request)
end
local words = scope .. ' ' .. minute .. ' ' .. (tokens_limit and ARGV[6] or '-') .. (parallel_limit and ' 1' or ' 0')
for number, hold in ipairs(holds) do
  local at = FIRST_BUDGET + (number - 1) * BUDGET_SIZE
  if fresh[number] then
    open_counter(ARGV[at], key, ARGV[at + 3], ARGV[at + 4], 0, hold, now)
  elseif hold > 0 then
    redis.call('HINCRBY', KEYS[2 + number], 'held', hold)
  end
  answer[6 + 2 * number] = answer[6 + 2 * number] + hold
  words = words .. ' ' .. ARGV[at] .. ' ' .. string.format('%.0f', hold)
end
redis.call('SET', KEYS[1], words .. '\n' .. ARGV[9])
redis.call('ZADD', KEYS[2], now + lease_ms, request)
return answer
