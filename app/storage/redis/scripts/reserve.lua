-- Admits a request against all limits of its key and of the levels above at once, or changes nothing.
-- KEYS: its hold, the leases, the budget counters (which declare the slot on a cluster)
-- ARGV: request, tokens, lease ms, the end of its hold (scopes, time µs and cost of the receipt if orphaned; that
--       receipt), number of scopes with rate limits;
--       for each of these: scope, requests, tokens, parallel (empty is no limit), s of the window, as how many
--       requests it counts (0 when an earlier attempt was counted);
--       for each budget: counter, scope, limit, hold, start µs, end µs or empty, whether counting began by the start,
--       whether it may not be exceeded
-- Returns verdict, the time (s), s to wait, number of the scope or of the budget that refuses, then for each scope
--         requests and tokens used, and for each budget that was looked at spent and held.
local ADMITTED, REQUESTS, TOKENS_USED, CONCURRENCY, BUDGET, BUDGET_HELD, MISSING, BUDGET_SHORT = 0, 1, 2, 3, 4, 5, 6, 7
local CLOCK_DOUBT_MS, FIRST_RATE, RATE_SIZE, BUDGET_SIZE = 5000, 6, 6, 8
local NEVER_S = 31536000

local request, tokens, lease_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local rates = tonumber(ARGV[5])
local first_budget = FIRST_RATE + rates * RATE_SIZE
local budgets = (#ARGV - first_budget + 1) / BUDGET_SIZE

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local minute = math.floor(time[1] / 60)
local answer = {ADMITTED, tonumber(time[1]), 0, 0}

if redis.call('EXISTS', KEYS[1]) == 1 then
  -- Asked again, as the first answer was lost: that hold goes, this one takes its place.
  end_hold(request, redis.call('GETDEL', KEYS[1]), '0', 0, minute)
end

-- Of several that refuse the one that does so the longest is told: before it, nothing fits.
local function refuse(verdict, wait_s, number)
  if wait_s > answer[3] then
    answer[1], answer[3], answer[4] = verdict, wait_s, number
  end
end

local window_keys = {}
for number = 1, rates do
  local at = FIRST_RATE + (number - 1) * RATE_SIZE
  local requests_limit, tokens_limit = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local parallel_limit = tonumber(ARGV[at + 3])
  local requests_used, tokens_used, reset_s = 0, 0, 0
  if requests_limit or tokens_limit then
    local window = tonumber(ARGV[at + 4])
    reset_s = window - time[1] % window
    window_keys[number] = '{kh}:minute:' .. ARGV[at] .. ':' .. math.floor(time[1] / window)
    local counts = redis.call('HMGET', window_keys[number], 'requests', 'tokens')
    requests_used, tokens_used = tonumber(counts[1] or 0), tonumber(counts[2] or 0)
  end
  answer[#answer + 1], answer[#answer + 2] = requests_used, tokens_used
  if requests_limit and requests_used + ARGV[at + 5] > requests_limit then
    refuse(REQUESTS, reset_s, number)
  end
  -- An estimate above the whole limit is let through when it is alone, or it never would be.
  if tokens_limit and tokens_used + tokens > tokens_limit and (tokens_used > 0 or tokens_limit <= 0) then
    refuse(TOKENS_USED, reset_s, number)
  end
  if parallel_limit and redis.call('ZCOUNT', '{kh}:running:' .. ARGV[at], '(' .. now, '+inf') >= parallel_limit then
    refuse(CONCURRENCY, 1, number)
  end
end

local function counter_may_start_at_zero(start_us, counted_from_start)
  local born = redis.call('GET', '{kh}:born')
  if not born then
    redis.call('SET', '{kh}:born', now)
    return false
  end
  return counted_from_start == '1' and (tonumber(born) + CLOCK_DOUBT_MS) * 1000 <= tonumber(start_us)
end

local holds, fresh, held_out = {}, {}, nil
for number = 1, budgets do
  local at = first_budget + (number - 1) * BUDGET_SIZE
  local limit, hold = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local values = redis.call('HMGET', KEYS[2 + number], 'spent', 'held')
  fresh[number] = not values[1]
  if fresh[number] and not counter_may_start_at_zero(ARGV[at + 4], ARGV[at + 6]) then
    answer[1], answer[4] = MISSING, number
    return answer
  end
  local spent, held = tonumber(values[1] or 0), tonumber(values[2] or 0)
  answer[#answer + 1], answer[#answer + 2] = spent, held
  local ending = tonumber(ARGV[at + 5])
  local to_end_s = ending and math.max(1, math.ceil((ending / 1000 - now) / 1000)) or NEVER_S
  if spent >= limit then
    refuse(BUDGET, to_end_s, number)
  elseif spent + held + hold > limit then
    if ARGV[at + 7] == '1' and spent + hold > limit then
      refuse(BUDGET_SHORT, to_end_s, number)
    elseif held > 0 then
      -- Told only when no other budget is spent: waiting would not help there.
      held_out = held_out or number
    end
    -- Nothing else runs: a careful estimate must not refuse what may well fit.
    hold = limit - spent
  end
  holds[number] = hold
end
if held_out and answer[1] == ADMITTED then
  refuse(BUDGET_HELD, 1, held_out)
end
if answer[1] ~= ADMITTED then
  return answer
end

local words = minute
for number = 1, rates do
  local at, place = FIRST_RATE + (number - 1) * RATE_SIZE, 3 + 2 * number
  local scope, window_key, counts_tokens = ARGV[at], window_keys[number], ARGV[at + 2] ~= ''
  if window_key then
    answer[place] = answer[place] + tonumber(ARGV[at + 5])
    if counts_tokens then
      answer[place + 1] = answer[place + 1] + tokens
      words = words .. ' #' .. scope .. ' ' .. ARGV[2]
    end
    redis.call('HSET', window_key, 'requests', answer[place], 'tokens', answer[place + 1])
    if answer[place] <= 1 then
      local window = tonumber(ARGV[at + 4])
      redis.call('PEXPIREAT', window_key, (math.floor(time[1] / window) + 1) * window * 1000)
    end
  end
  if ARGV[at + 3] ~= '' then
    redis.call('ZADD', '{kh}:running:' .. scope, now + lease_ms, request)
    words = words .. ' %' .. scope .. ' 1'
  end
end
for number, hold in ipairs(holds) do
  local at, place = first_budget + (number - 1) * BUDGET_SIZE, 3 + 2 * (rates + number)
  if fresh[number] then
    open_counter(ARGV[at], ARGV[at + 1], ARGV[at + 4], ARGV[at + 5], 0, hold, now)
  elseif hold > 0 then
    redis.call('HINCRBY', KEYS[2 + number], 'held', hold)
  end
  answer[place + 1] = answer[place + 1] + hold
  words = words .. ' ' .. ARGV[at] .. ' ' .. string.format('%.0f', hold)
end
redis.call('SET', KEYS[1], words .. '\n' .. ARGV[4])
redis.call('ZADD', KEYS[2], now + lease_ms, request)
return answer
