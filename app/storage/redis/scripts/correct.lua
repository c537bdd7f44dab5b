-- Adds receipts that no counter has seen to the counters of one scope.
-- KEYS: the counters of the scope. ARGV: for each receipt its time µs, its cost
for i = 1, #ARGV, 2 do
  count_missed(KEYS[1], tonumber(ARGV[i]), ARGV[i + 1])
end
return 1
