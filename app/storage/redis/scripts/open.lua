-- Notes when this data set was first seen. KEYS: born. Returns that instant, ms.
redis.call('SET', KEYS[1], now_ms(), 'NX')
return redis.call('GET', KEYS[1])
