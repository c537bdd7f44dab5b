-- Lets a mark live on, as done where that is said, or forgets it. KEYS: the mark.
-- ARGV: request id, how long it lives in ms (0 forgets), "done" or nothing.
-- Returns 1, or 0 where the mark has ended or is another call's.
if redis.call('HGET', KEYS[1], 'request') ~= ARGV[1] then
  return 0
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
  return 1
end
if ARGV[3] == 'done' then
  redis.call('HSET', KEYS[1], 'done', '1')
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
