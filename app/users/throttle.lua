-- Counts one try of a (name, address) pair, a name and an address before it is made; gives the seconds to wait, or 0,
-- and 1 if the whole address has to.
-- KEYS: pair, name, address. ARGV: free failures, longest wait, tries per name, its window, per address, its window.
local now = tonumber(redis.call('TIME')[1])
local free, longest = tonumber(ARGV[1]), tonumber(ARGV[2])
local open_at = tonumber(redis.call('HGET', KEYS[1], 'open_at') or '0')
if open_at > now then return {open_at - now, 0} end
for i = 2, 3 do
  if tonumber(redis.call('GET', KEYS[i]) or '0') >= tonumber(ARGV[2 * i - 1]) then
    return {math.max(redis.call('TTL', KEYS[i]), 1), i - 2}
  end
end
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
if failures >= free then
  redis.call('HSET', KEYS[1], 'open_at', now + math.min(longest, 2 ^ (failures - free)))
end
redis.call('EXPIRE', KEYS[1], 86400)
for i = 2, 3 do
  if redis.call('INCR', KEYS[i]) == 1 then redis.call('EXPIRE', KEYS[i], ARGV[2 * i]) end
end
return {0, 0}
