-- Circuit breaker: one hash per scope with until and probe_until (ms of Redis's clock), wait (ms), reason, strikes.
-- ARGV[1] names the event; the clock is that of Redis, shared by all processes.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local longest = 25 * 3600 * 1000 -- at least the longest wait that Meta or Nametag sets

local function within(text, most)
  local number = tonumber(text or '')
  return number and number <= most and math.floor(number) or nil
end

local function read(key) -- deletes what Nametag did not write: another type, or no expiry
  local kind, life = redis.call('TYPE', key).ok, redis.call('PTTL', key)
  if kind ~= 'none' and (kind ~= 'hash' or life == -1 or life > longest) then redis.call('DEL', key) end
  local found = redis.call('HMGET', key, 'until', 'probe_until', 'wait', 'reason', 'strikes')
  local wait = within(found[3], longest)
  return {ends = within(found[1], now + longest), probe = within(found[2], now + 60000),
          wait = wait and wait > 0 and wait or nil, reason = found[4] or '', strikes = within(found[5], longest) or 0}
end

local function blocked_until(circuit)
  return math.max(circuit.ends or 0, circuit.probe or 0)
end

-- may a call be made? -> {ms to wait, reason}; the first call after the timeout is the probe, others wait for it
local function ask(keys, probe_ms)
  local wait, reason = 0, ''
  for _, key in ipairs(keys) do
    local circuit = read(key)
    if blocked_until(circuit) - now > wait then wait, reason = blocked_until(circuit) - now, circuit.reason end
  end
  if wait == 0 and probe_ms > 0 then
    for _, key in ipairs(keys) do
      if redis.call('HEXISTS', key, 'until') == 1 then redis.call('HSET', key, 'probe_until', now + probe_ms) end
    end
  end
  return {wait, reason}
end

-- open the circuit for named_ms, or for base_ms doubling up to most_ms -> ms, or 0 if it was open already
local function open(key, reason, named_ms, base_ms, most_ms)
  local known = read(key)
  if known.ends and now < known.ends then
    if now + named_ms > known.ends then redis.call('HSET', key, 'until', now + named_ms) end
    return 0
  end
  local wait = named_ms
  if wait == 0 then
    wait = known.wait and math.min(known.wait * 2, most_ms) or base_ms
    redis.call('HSET', key, 'wait', wait)
  end
  redis.call('HSET', key, 'until', now + wait, 'reason', reason)
  redis.call('HDEL', key, 'probe_until', 'strikes')
  redis.call('PEXPIRE', key, wait + most_ms)
  return wait
end

-- count a failure in a row -> as open, or 0 below most_strikes
local function strike(key, reason, most_strikes, base_ms, most_ms)
  local known = read(key)
  if known.ends then return open(key, reason, 0, base_ms, most_ms) end
  if known.strikes + 1 < most_strikes then
    redis.call('HSET', key, 'strikes', known.strikes + 1)
    redis.call('PEXPIRE', key, most_ms)
    return 0
  end
  return open(key, reason, 0, base_ms, most_ms)
end

-- a response came: delete strikes and circuits past their timeout; a late response closes no open circuit
local function answered(keys)
  for _, key in ipairs(keys) do
    local known = read(key)
    if not known.ends or now >= known.ends then redis.call('DEL', key) end
  end
  return 0
end

local numbers = {}
for index = 3, #ARGV do numbers[index] = tonumber(ARGV[index]) end
if ARGV[1] == 'ask' then return ask(KEYS, tonumber(ARGV[2])) end
if ARGV[1] == 'open' then return open(KEYS[1], ARGV[2], numbers[3], numbers[4], numbers[5]) end
if ARGV[1] == 'strike' then return strike(KEYS[1], ARGV[2], numbers[3], numbers[4], numbers[5]) end
return answered(KEYS)
