-- What counters say. KEYS: the counters. Returns of each spent and held as text, both nil when there is none.
local answer = {}
for number = 1, #KEYS do
  answer[number] = redis.call('HMGET', KEYS[number], 'spent', 'held')
end
return answer
