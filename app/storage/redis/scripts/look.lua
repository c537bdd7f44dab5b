-- What a counter says. KEYS: the counter. Returns spent and held as text, both nil when there is none.
return redis.call('HMGET', KEYS[1], 'spent', 'held')
