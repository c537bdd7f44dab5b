-- Begins a call under a name, or tells what is known of the one that has it.
-- KEYS: the mark, the answer. ARGV: request id, fingerprint, how long the mark lives in ms.
-- Returns nil when it was begun; else request id, fingerprint, its age in ms, whether it is done, the answer.
local mark = redis.call('HMGET', KEYS[1], 'request', 'fingerprint', 'since', 'done')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if mark[1] then
  return {mark[1], mark[2], now - tonumber(mark[3]), mark[4], redis.call('GET', KEYS[2])}
end
redis.call('HSET', KEYS[1], 'request', ARGV[1], 'fingerprint', ARGV[2], 'since', now)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return nil
