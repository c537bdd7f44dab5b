-- Notes receipts that no counter has seen, before they are in the book. KEYS: those owed. ARGV: their ids
return redis.call('SADD', KEYS[1], unpack(ARGV))
