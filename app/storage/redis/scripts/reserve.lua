-- Admits a request against all limits of its key and of the levels above at once, or changes nothing.
-- KEYS: its hold, the leases, the budget counters (which declare the slot on a cluster)
-- ARGV: request, tokens, the end of its hold (scopes, time µs and cost of the receipt if orphaned; that receipt), and
--       in MessagePack, as a number in text costs a step of its own to read: tokens, lease ms, and for each scope with
--       rate limits and for each budget what RATE and BUDGET below say (nil is no limit, no end)
-- Returns verdict, the time (s), s to wait, number of the scope or of the budget that refuses, then for each scope
--         requests and tokens used, and for each budget that was looked at spent and held.
local ADMITTED, REQUESTS, TOKENS_USED, CONCURRENCY, BUDGET, BUDGET_HELD, MISSING, BUDGET_SHORT = 0, 1, 2, 3, 4, 5, 6, 7
local CLOCK_DOUBT_MS, NEVER_S = 5000, 31536000
-- Of a rate: scope, requests, tokens, parallel, s of the window, as how many requests it counts (0 when an earlier
-- attempt was counted).
local SCOPE, MOST_REQUESTS, MOST_TOKENS, MOST_PARALLEL, WINDOW_S, COUNTS = 1, 2, 3, 4, 5, 6
-- Of a budget: counter, scope, limit, hold, start µs, end µs, whether counting began by the start, whether it may not
-- be exceeded.
local COUNTER, SCOPE_OF_BUDGET, LIMIT, HOLD, START_US, END_US, WHOLE, STRICT = 1, 2, 3, 4, 5, 6, 7, 8

local request = ARGV[1]
local tokens, lease_ms, rates, budgets = unpack(cmsgpack.unpack(ARGV[4]))

local time = redis.call('TIME')
local now_s = tonumber(time[1])
local now = now_s * 1000 + math.floor(time[2] / 1000)
local minute = math.floor(now_s / 60)
local answer = {ADMITTED, now_s, 0, 0}

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
for number, rate in ipairs(rates) do
  local most_requests, most_tokens, most_parallel = rate[MOST_REQUESTS], rate[MOST_TOKENS], rate[MOST_PARALLEL]
  local requests_used, tokens_used, reset_s = 0, 0, 0
  if most_requests or most_tokens then
    local window = rate[WINDOW_S]
    reset_s = window - now_s % window
    window_keys[number] = '{kh}:minute:' .. rate[SCOPE] .. ':' .. math.floor(now_s / window)
    local counts = redis.call('HMGET', window_keys[number], 'requests', 'tokens')
    requests_used, tokens_used = tonumber(counts[1] or 0), tonumber(counts[2] or 0)
  end
  answer[#answer + 1], answer[#answer + 2] = requests_used, tokens_used
  if most_requests and requests_used + rate[COUNTS] > most_requests then
    refuse(REQUESTS, reset_s, number)
  end
  -- An estimate above the whole limit is let through when it is alone, or it never would be.
  if most_tokens and tokens_used + tokens > most_tokens and (tokens_used > 0 or most_tokens <= 0) then
    refuse(TOKENS_USED, reset_s, number)
  end
  if most_parallel and redis.call('ZCOUNT', '{kh}:running:' .. rate[SCOPE], '(' .. now, '+inf') >= most_parallel then
    refuse(CONCURRENCY, 1, number)
  end
end

local function counter_may_start_at_zero(budget)
  local born = redis.call('GET', '{kh}:born')
  if not born then
    redis.call('SET', '{kh}:born', now)
    return false
  end
  return budget[WHOLE] and (tonumber(born) + CLOCK_DOUBT_MS) * 1000 <= budget[START_US]
end

local holds, fresh, held_out = {}, {}, nil
for number, budget in ipairs(budgets) do
  local limit, hold = budget[LIMIT], budget[HOLD]
  local values = redis.call('HMGET', KEYS[2 + number], 'spent', 'held')
  fresh[number] = not values[1]
  if fresh[number] and not counter_may_start_at_zero(budget) then
    answer[1], answer[4] = MISSING, number
    return answer
  end
  local spent, held = tonumber(values[1] or 0), tonumber(values[2] or 0)
  answer[#answer + 1], answer[#answer + 2] = spent, held
  local to_end_s = NEVER_S
  if budget[END_US] then
    to_end_s = math.max(1, math.ceil((budget[END_US] / 1000 - now) / 1000))
  end
  if spent >= limit then
    refuse(BUDGET, to_end_s, number)
  elseif spent + held + hold > limit then
    if budget[STRICT] and spent + hold > limit then
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

local words = {minute}
for number, rate in ipairs(rates) do
  local place = 3 + 2 * number
  local scope, window_key = rate[SCOPE], window_keys[number]
  if window_key then
    answer[place] = answer[place] + rate[COUNTS]
    if rate[MOST_TOKENS] then
      answer[place + 1] = answer[place + 1] + tokens
      words[#words + 1], words[#words + 2] = '#' .. scope, ARGV[2]
    end
    redis.call('HSET', window_key, 'requests', answer[place], 'tokens', answer[place + 1])
    if answer[place] <= 1 then
      local window = rate[WINDOW_S]
      redis.call('PEXPIREAT', window_key, (math.floor(now_s / window) + 1) * window * 1000)
    end
  end
  if rate[MOST_PARALLEL] then
    redis.call('ZADD', '{kh}:running:' .. scope, now + lease_ms, request)
    words[#words + 1], words[#words + 2] = '%' .. scope, '1'
  end
end
for number, hold in ipairs(holds) do
  local budget, place = budgets[number], 3 + 2 * (#rates + number)
  if fresh[number] then
    open_counter(budget[COUNTER], budget[SCOPE_OF_BUDGET], budget[START_US], budget[END_US] or '', 0, hold, now)
  elseif hold > 0 then
    redis.call('HINCRBY', KEYS[2 + number], 'held', hold)
  end
  answer[place + 1] = answer[place + 1] + hold
  words[#words + 1], words[#words + 2] = budget[COUNTER], string.format('%d', hold)
end
redis.call('SET', KEYS[1], table.concat(words, ' ') .. '\n' .. ARGV[3])
redis.call('ZADD', KEYS[2], now + lease_ms, request)
return answer
