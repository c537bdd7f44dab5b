-- Sets a counter from the book: what Postgres summed, what is in the stream and not yet in Postgres, what is held.
-- KEYS: the counter, the receipts, the leases. ARGV: counter, key, start µs, end µs or empty, sum of the book
-- The caller keeps the stream from being drained meanwhile. Entries that moved no counter are left out: whoever
-- drains them adds them. Returns spent and held.
local counter, key, start, ending = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local spent, held = tonumber(ARGV[5]), 0

local function in_window(at)
  return at and at >= start and (not ending or at < ending)
end

for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+')) do
  local fields = entry[2]
  if fields[4] == key and fields[10] == '1' and in_window(tonumber(fields[8])) then
    spent = spent + tonumber(fields[6])
  end
end
for _, request in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  local hold_key = '{kh}:hold:' .. request
  local hold = redis.call('HMGET', hold_key, 'key', 'at', 'cost', '@' .. counter)
  if hold[1] == key and in_window(tonumber(hold[2])) then
    -- One that runs since before this budget was defined is held, and will be spent, on it too.
    local amount = hold[4] or hold[3]
    if not hold[4] then
      redis.call('HSET', hold_key, '@' .. counter, amount)
    end
    held = held + tonumber(amount)
  end
end
open_counter(counter, key, {start = ARGV[3], ending = ARGV[4]}, spent, held, now_ms())
return {spent, held}
