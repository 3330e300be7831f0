-- End of a plan: store the parts, list the job for the first of them.
-- ARGV: prefix, token, window, notes (JSON), payload of part 0, payload of part 1, ...
-- Returns 1 = done, 0 = lease lost
local id, index = end_lease(ARGV[2])
if not id or index ~= PLAN then return 0 end
local key, window, count = job_key(id), tonumber(ARGV[3]), #ARGV - 4
for i = 0, count - 1 do redis.call("HSET", key .. ":parts", i, ARGV[5 + i]) end
redis.call("HSET", key, "stage", "parts", "total", count, "done", 0, "next", 0)
redis.call("DEL", key .. ":attempts")
redis.call("HSET", key .. ":said", "notes", ARGV[4])
redis.call("HDEL", key .. ":said", "waiting_for")
local _, _, model = work_of(id)
count_pace(ARGV[2], model, 0)
open_parts(id, count)  -- the plan part itself becomes the join part
if count == 0 then
  redis.call("HSET", key, "stage", "joining")
  redis.call("RPUSH", key .. ":again", JOIN)
end
offer(id, window)
changed(id)
return 1
