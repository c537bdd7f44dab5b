-- Puts a receipt aside that the book refuses.
-- KEYS: the receipts, the rejected, those owed. ARGV: its id, the receipt, the error
redis.call('XADD', KEYS[2], '*', 'receipt', ARGV[2], 'error', ARGV[3])
redis.call('SREM', KEYS[3], ARGV[1])
return redis.call('XDEL', KEYS[1], ARGV[1])
