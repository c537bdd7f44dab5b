-- Makes the hold of a running request larger on all the budgets that are named, or changes nothing.
-- KEYS: the hold. ARGV: for each budget: counter, limit (empty where the hold may grow beyond it), least, wanted
-- Returns GROWN and the amount then held on each; or REFUSED, the number of the budget that has no room for the least,
-- its spent and its held; or GONE where there is no hold, or no counter to tell the room.
local GROWN, REFUSED, GONE = 1, 2, 3
local BUDGET_SIZE = 4

local hold = redis.call('GET', KEYS[1])
if not hold then
  return {GONE}
end
local words, places = words_of(hold), {}
for i = 2, #words, 2 do
  places[words[i]] = i + 1
end

local answer = {GROWN}
for at = 1, #ARGV, BUDGET_SIZE do
  local number, place = (at - 1) / BUDGET_SIZE + 1, places[ARGV[at]]
  local limit, least, wanted = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local values = redis.call('HMGET', '{kh}:budget:' .. ARGV[at], 'spent', 'held')
  if not place or not values[1] then
    return {GONE}
  end
  local present = tonumber(words[place])
  local amount = math.max(present, wanted)
  if limit then
    local spent, held = tonumber(values[1]), tonumber(values[2])
    local room = limit - spent - (held - present)
    if room < least then
      return {REFUSED, number, spent, held}
    end
    amount = math.max(present, math.min(wanted, room))
  end
  answer[number + 1] = amount
end

for number = 1, #answer - 1 do
  local counter = ARGV[(number - 1) * BUDGET_SIZE + 1]
  local place, amount = places[counter], answer[number + 1]
  redis.call('HINCRBY', '{kh}:budget:' .. counter, 'held', amount - words[place])
  words[place] = string.format('%.0f', amount)
end
redis.call('SET', KEYS[1], table.concat(words, ' ') .. string.match(hold, '\n.*$'))
return answer
