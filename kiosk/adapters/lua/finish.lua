-- Close a job from within one of its parts: succeeded after the join, or failed for good. A plan
-- may end a job too, when it has done the few parts itself.
-- ARGV: prefix, token, state, reason, message, litter ms, parts or "", notes (JSON)
-- Returns 1 = done, 0 = lease lost
local id, index = end_lease(ARGV[2])
if not id then return 0 end
local key = job_key(id)
if ARGV[3] == "succeeded" then
  local left_px, _, model = work_of(id)
  count_pace(ARGV[2], model, left_px)
end
close(id, ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]))  -- by what was done before these parts
if ARGV[7] ~= "" then
  redis.call("HSET", key, "total", ARGV[7], "done", ARGV[7])
  if ARGV[8] ~= "[]" then redis.call("HSET", key .. ":said", "notes", ARGV[8]) end
end
return 1
