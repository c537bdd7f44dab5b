-- Exchanges the hold of a request for what it cost, and appends its receipt.
-- KEYS: the hold, the leases, the receipts. ARGV: request, cost, tokens, receipt, key, its time µs
-- Returns 1 when there was a hold. Without one the receipt is appended all the same, and says that no counter moved:
-- either it is here a second time, and the book drops it, or the counters were lost, and the book corrects them.
local hold = find_hold(ARGV[1])
if hold then
  end_hold(ARGV[1], hold, ARGV[2], tonumber(ARGV[3]))
end
append_receipt(ARGV[4], ARGV[5], ARGV[2], ARGV[6], hold and '1' or '0')
return hold and 1 or 0
