-- End of a part: count it once, hand out the next; the last one hands out the join.
-- ARGV: prefix, consumer, entry.  Returns 1 = done, 0 = lease lost
local id, index = held(ARGV[3], ARGV[2])
if not id then return 0 end
drop_entry(ARGV[3])
local key = job_key(id)
if not is_open(redis.call("HGET", key, "state") or "") then return 0 end
if redis.call("SETBIT", key .. ":done", index, 1) == 1 then return 1 end
redis.call("HDEL", key .. ":attempts", index)
open_parts(id, -1)
local done = redis.call("HINCRBY", key, "parts_done", 1)
local total = tonumber(redis.call("HGET", key, "parts_total"))
local released = tonumber(redis.call("HGET", key, "parts_released"))
if released < total then
  hand_out(id, released)
  redis.call("HINCRBY", key, "parts_released", 1)
end
if done == total then
  redis.call("HSET", key, "stage", "joining")
  hand_out(id, JOIN)
end
event(id)
return 1
