-- Forget a finished job.  ARGV: prefix, job id, its request id or "".
-- Returns 1 = gone, 0 = no such job, -1 = still open
local id = ARGV[2]
local key = job_key(id)
local state = state_of(id)
if state == "" then return 0 end
if is_open(state) then return -1 end
local owner = redis.call("HGET", key, "owner")
if ARGV[3] ~= "" then redis.call("HDEL", P .. ":requests:" .. owner, ARGV[3]) end
redis.call("DEL", key, key .. ":request", key .. ":said", key .. ":held")
redis.call("ZREM", P .. ":jobs:" .. owner, id)
if redis.call("EXISTS", P .. ":jobs:" .. owner) == 0 then redis.call("SREM", OWNERS, owner) end
redis.call("ZREM", EXPIRY, id)
redis.call("ZREM", DEAD, id)
redis.call("PUBLISH", key, "")
return 1
