-- Notes when this data set was first seen. KEYS: born. Returns that instant, ms.
local time = redis.call('TIME')
redis.call('SET', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000), 'NX')
return redis.call('GET', KEYS[1])
