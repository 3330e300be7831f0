-- Give a part back for another attempt after a delay, or give it up after the last one. An outage
-- does not count as an attempt, until there were too many of them.
-- ARGV: prefix, token, most attempts, delay ms, longest delay ms, reason, litter ms, window,
--   most outages (0 = this is none)
-- Returns 1 = done, 0 = lease lost
local id, index = end_lease(ARGV[2])
if not id then return 0 end
local key, reason = job_key(id), ARGV[6]
local attempts = tonumber(redis.call("HGET", key .. ":attempts", index) or "1")
local times = attempts
if tonumber(ARGV[9]) > 0 then
  local outages = redis.call("HINCRBY", key .. ":attempts", index .. "~", 1)
  if outages < tonumber(ARGV[9]) then
    attempts = redis.call("HINCRBY", key .. ":attempts", index, -1)
    times = outages
  end
  redis.call("HSET", key .. ":said", "waiting_for", reason)
end
if attempts >= tonumber(ARGV[3]) then
  give_up(id, index, attempts, reason, tonumber(ARGV[7]))
  return 1
end
delay(id, index, math.min(tonumber(ARGV[4]) * 2 ^ (times - 1), tonumber(ARGV[5])))
offer(id, tonumber(ARGV[8]))
changed(id)
return 1
