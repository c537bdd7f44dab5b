-- A stored answer. KEYS: the answer. Returns it, nil when there is none.
return redis.call('GET', KEYS[1])
