-- Takes receipts that are in the book off the stream. KEYS: the receipts. ARGV: their ids
return redis.call('XDEL', KEYS[1], unpack(ARGV))
