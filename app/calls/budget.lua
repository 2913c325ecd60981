-- Grant one call of the API call budget. KEYS: grants (zset: member kind + nonce, score ms), generation, usage.
-- ARGV: window ms, limit, reserve, slow percent, slow calls, slow ms, pace calls, pace ms,
--       kind ("live|rest:purpose:call:"), nonce ('' grants nothing), most calls of the daily refresh, longest life of a usage.
-- Returns {state, wait ms, generation, seconds, microseconds}; the clock is that of Redis, shared by all processes.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local window, limit, reserve = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kind, nonce = ARGV[9], ARGV[10]

-- ms until fewer than `most` grants with this pattern are younger than `span`
local function wait_for(most, span, pattern)
  local found = {}
  local young = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. (now - span), '+inf', 'WITHSCORES')
  for index = 1, #young, 2 do
    if string.find(young[index], pattern) then found[#found + 1] = tonumber(young[index + 1]) end
  end
  return #found < most and 0 or found[#found - most + 1] + span - now
end

-- Delete values that Nametag did not write; if they were grants, the window is rebuilt from the rows.
local function of_type(key, expected)
  local found = redis.call('TYPE', key).ok
  return found == expected or found == 'none'
end
local function readable()
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    if not string.find(member, '^live:') and not string.find(member, '^rest:') then return false end
  end
  return true
end
local usage_life = redis.call('PTTL', KEYS[3])
if not of_type(KEYS[3], 'string') or usage_life == -1 or usage_life > tonumber(ARGV[12]) then redis.call('DEL', KEYS[3]) end
if not of_type(KEYS[2], 'string') or not of_type(KEYS[1], 'zset') then redis.call('DEL', KEYS[1], KEYS[2]) end
if redis.call('ZCOUNT', KEYS[1], now + 1000, '+inf') > 0 then redis.call('DEL', KEYS[2]) end

-- A generation from another run of the server (old snapshot, replica): grants may be missing.
local generation = redis.call('GET', KEYS[2]) or ''
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
if string.sub(generation, 1, #run) ~= run then return {'unknown', 0, '', time[1], time[2]} end
local function answer(state, wait)
  return {state, wait, generation, time[1], time[2]}
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)

local live = string.find(kind, '^live:') ~= nil
local allowed = live and limit or limit - reserve
local used = redis.call('ZCARD', KEYS[1])
if used >= allowed then
  if not readable() then
    redis.call('DEL', KEYS[2])
    return {'unknown', 0, '', time[1], time[2]}
  end
  local oldest = redis.call('ZRANGE', KEYS[1], used - allowed, used - allowed, 'WITHSCORES')[2]
  return answer('spent', (oldest and tonumber(oldest) + window or now + window) - now)
end
if string.find(kind, ':daily:') then
  local wait = wait_for(tonumber(ARGV[11]), window, ':daily:')
  if wait > 0 then return answer('half', wait) end
end
if not live and (tonumber(redis.call('GET', KEYS[3])) or 0) >= tonumber(ARGV[4]) then
  local wait = wait_for(tonumber(ARGV[5]), tonumber(ARGV[6]), '^rest:')
  if wait > 0 then return answer('slow', wait) end
end
if string.find(kind, ':conversations:') then
  local wait = wait_for(tonumber(ARGV[7]), tonumber(ARGV[8]), ':conversations:')
  if wait > 0 then return answer('pace', wait) end
end
if nonce ~= '' then
  redis.call('ZADD', KEYS[1], now, kind .. nonce)
  redis.call('PEXPIRE', KEYS[1], window)
end
return answer('granted', 0)
