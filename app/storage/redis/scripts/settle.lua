-- Exchanges the hold of a request for what it cost, and appends its receipt.
-- KEYS: the hold, the leases, the receipts. ARGV: request, cost, tokens, receipt, its scopes, its time µs
-- Returns 1 when there was a hold. Without one the receipt is appended all the same, and says that no counter moved:
-- either it is here a second time, and the book drops it, or the counters were lost, and the book corrects them.
local hold = redis.call('GETDEL', KEYS[1])
local entry = redis.call('XADD', KEYS[3], '*', 'receipt', ARGV[4], 'key', ARGV[5], 'cost', ARGV[2], 'at', ARGV[6],
  'counted', hold and '1' or '0')
if not hold then
  return 0
end
-- An entry is named by the time at which it was appended, ms.
end_hold(ARGV[1], hold, ARGV[2], ARGV[3], math.floor(string.match(entry, '^%d+') / 60000))
return 1
