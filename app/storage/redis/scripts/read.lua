-- The oldest receipts that are not yet in the book. KEYS: the receipts. ARGV: how many at most
return redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1])
