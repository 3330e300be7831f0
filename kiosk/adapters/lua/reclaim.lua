-- Hand out delayed parts that are due, then take over one part whose lease has run out.
-- ARGV: prefix, consumer, lease ms
-- Returns the entry id taken over, or false
local due = redis.call("ZRANGEBYSCORE", DELAYED, "-inf", now_ms(), "LIMIT", 0, 100)
for _, member in ipairs(due) do
  local part = cjson.decode(member)
  redis.call("ZREM", DELAYED, member)
  hand_out(part.job, part.index)
end
-- One call looks at ten leases only, so go on until the end of the list.
local start = "0-0"
repeat
  local claimed = redis.call("XAUTOCLAIM", PARTS, GROUP, ARGV[2], ARGV[3], start, "COUNT", 1)
  local first = claimed[2][1]
  -- Redis 6.2 answers false for an entry that was deleted meanwhile.
  if first and first[1] then return first[1] end
  start = claimed[1]
until start == "0-0"
return false
