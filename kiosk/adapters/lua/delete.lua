-- Forget a finished job.  ARGV: prefix, job id.  Returns 1 = gone, 0 = no such job, -1 = still open
local id = ARGV[2]
local key = job_key(id)
local state = redis.call("HGET", key, "state")
if not state then return 0 end
if is_open(state) then return -1 end
redis.call("DEL", key, key .. ":parts", key .. ":done", key .. ":attempts", key .. ":events")
redis.call("ZREM", P .. ":jobs", id)
redis.call("ZREM", P .. ":expiry", id)
return 1
