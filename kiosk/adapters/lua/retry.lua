-- Give a part back for another attempt after a delay, or give it up after the last one.
-- ARGV: prefix, consumer, entry, most attempts, delay ms, reason.  Returns 1 = done, 0 = lease lost
local id, index = held(ARGV[3], ARGV[2])
if not id then return 0 end
drop_entry(ARGV[3])
local key = job_key(id)
if not is_open(redis.call("HGET", key, "state") or "") then return 0 end
local attempts = tonumber(redis.call("HGET", key .. ":attempts", index) or "1")
if attempts >= tonumber(ARGV[4]) then
  give_up(id, index, attempts, ARGV[6])
  return 1
end
local delay_ms = tonumber(ARGV[5]) * 2 ^ (attempts - 1)
redis.call("ZADD", DELAYED, now_ms() + delay_ms, cjson.encode({job = id, index = index}))
return 1
