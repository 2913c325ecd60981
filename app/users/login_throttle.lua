-- Count one attempt per (email, IP address) pair, per email and per IP address, before it is made.
-- Return the seconds to wait or 0, and 1 if the limit of the IP address was reached.
-- KEYS: pair, email, IP address. ARGV: free failures, longest wait, attempts per email, its window, per IP address, its
-- window.
local now = tonumber(redis.call('TIME')[1])
local free, longest = tonumber(ARGV[1]), tonumber(ARGV[2])
local open_at = tonumber(redis.call('HGET', KEYS[1], 'open_at') or '0')
if open_at > now and open_at <= now + longest then return {open_at - now, 0} end
for i = 2, 3 do
  if tonumber(redis.call('GET', KEYS[i]) or '0') >= tonumber(ARGV[2 * i - 1]) then
    local left = redis.call('TTL', KEYS[i])
    if left >= 0 and left <= tonumber(ARGV[2 * i]) then return {math.max(left, 1), i - 2} end
    redis.call('DEL', KEYS[i]) -- a count without a valid expiry
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
