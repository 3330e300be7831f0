-- Closed jobs whose files are due to be removed; nobody else is given them for a while.
-- ARGV: prefix, ms until they are given again, most.  Returns job ids
even_when_full()
local now = clock_ms()
local due = redis.call("ZRANGEBYSCORE", LITTER, "-inf", now, "LIMIT", 0, ARGV[3])
for _, id in ipairs(due) do redis.call("ZADD", LITTER, now + tonumber(ARGV[2]), id) end
return due
