-- Sets a counter from the book: what Postgres summed, what is in the stream and not yet in Postgres, what is held.
-- KEYS: the counter, the receipts, the leases. ARGV: counter, scope, start µs, end µs or empty, sum of the book
-- The caller keeps the stream from being drained meanwhile. Entries that moved no counter are left out: whoever
-- drains them adds them. Returns spent and held.
local counter, scope, start, ending = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local spent, held = tonumber(ARGV[5]), 0
local time = redis.call('TIME')

local function in_window(at)
  return at and at >= start and (not ending or at < ending)
end

local function amount_on_counter(hold)
  local words = words_of(hold)
  for i = 2, #words, 2 do
    if words[i] == counter then
      return words[i + 1]
    end
  end
  return nil
end

for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+')) do
  local fields = entry[2]
  if has_scope(fields[4], scope) and fields[10] == '1' and in_window(tonumber(fields[8])) then
    spent = spent + tonumber(fields[6])
  end
end
for _, request in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  local name = '{kh}:hold:' .. request
  local hold = redis.call('GET', name)
  local line, rest, scopes, at, cost = string.match(hold or '', '^([^\n]*)(\n(%S+) (%S+) (%S+)\n.*)$')
  if has_scope(scopes, scope) and in_window(tonumber(at)) then
    local amount = amount_on_counter(hold)
    if not amount then
      -- One that runs since before this budget was defined is held, and will be spent, on it too.
      amount = cost
      redis.call('SET', name, line .. ' ' .. counter .. ' ' .. amount .. rest)
    end
    held = held + tonumber(amount)
  end
end
open_counter(counter, scope, ARGV[3], ARGV[4], spent, held, time[1] * 1000 + math.floor(time[2] / 1000))
return {spent, held}
