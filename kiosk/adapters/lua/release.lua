-- Give a part back at once and unharmed: its consumer is stopping, the attempt does not count.
-- ARGV: prefix, token, window.  Returns 1 = done, 0 = lease lost
local id, index = end_lease(ARGV[2])
if not id then return 0 end
redis.call("HINCRBY", job_key(id) .. ":attempts", index, -1)
redis.call("LPUSH", job_key(id) .. ":again", index)
offer(id, tonumber(ARGV[3]))
return 1
