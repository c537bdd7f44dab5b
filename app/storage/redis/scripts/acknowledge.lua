-- Takes receipts that are in the book off the stream, and adds what is owed of them to their counters in the same step.
-- KEYS: the receipts, those owed. ARGV: their ids
if redis.call('EXISTS', KEYS[2]) == 1 then
  for _, id in ipairs(ARGV) do
    local entry = redis.call('SREM', KEYS[2], id) == 1 and redis.call('XRANGE', KEYS[1], id, id)[1]
    if entry then
      local fields = entry[2]
      for scope in string.gmatch(fields[4], '[^,]+') do
        count_missed('{kh}:counters:' .. scope, tonumber(fields[8]), fields[6])
      end
    end
  end
end
return redis.call('XDEL', KEYS[1], unpack(ARGV))
