-- Give a part back at once and unharmed: its consumer is stopping, the attempt does not count.
-- ARGV: prefix, consumer, entry.  Returns 1 = done, 0 = lease lost
local id, index = held(ARGV[3], ARGV[2])
if not id then return 0 end
drop_entry(ARGV[3])
if not is_open(redis.call("HGET", job_key(id), "state") or "") then return 0 end
redis.call("HINCRBY", job_key(id) .. ":attempts", index, -1)
hand_out(id, index)
return 1
