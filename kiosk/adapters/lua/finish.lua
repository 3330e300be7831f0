-- Close a job from within one of its parts: succeeded after the join, or failed for good.
-- ARGV: prefix, consumer, entry, state, reason, message.  Returns 1 = done, 0 = lease lost
local id, index = held(ARGV[3], ARGV[2])
if not id then return 0 end
drop_entry(ARGV[3])
if not is_open(redis.call("HGET", job_key(id), "state") or "") then return 0 end
if ARGV[4] == "succeeded" and index ~= JOIN then return 0 end
close(id, ARGV[4], ARGV[5], ARGV[6])
return 1
