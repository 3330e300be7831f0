-- Begin a failed or cancelled job anew.  ARGV: prefix, job id, window
-- Returns 1 = queued, 0 = no such job, -1 = not failed or cancelled, -2 = its files are being removed
local id = ARGV[2]
local key = job_key(id)
local state = state_of(id)
if state == "" then return 0 end
if state ~= "failed" and state ~= "cancelled" then return -1 end
if redis.call("ZSCORE", LITTER, id) then return -2 end
local job = redis.call("HMGET", key, "class", "owner")
redis.call("LREM", list_key(job[1], job[2]), 0, id)  -- it may have been closed while it stood there
redis.call("HDEL", key, "stage", "start_ms", "end_ms", "total", "done", "next", "open", "listed")
redis.call("DEL", key .. ":said")
redis.call("HSET", key, "state", "queued")
redis.call("ZREM", DEAD, id)
local left_px, _, model = work_of(id)
count_open_jobs(job[2], 1)
count_work(model, left_px)
open_parts(id, 1)
offer(id, tonumber(ARGV[3]))
changed(id)
return 1
