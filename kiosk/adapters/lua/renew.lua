-- Keep a lease.  ARGV: prefix, consumer, entry.  Returns 1 = kept, 0 = lost or job closed
local id = held(ARGV[3], ARGV[2])
if not id then return 0 end
if not is_open(redis.call("HGET", job_key(id), "state") or "") then
  drop_entry(ARGV[3])
  return 0
end
redis.call("XCLAIM", PARTS, GROUP, ARGV[2], 0, ARGV[3], "JUSTID")
return 1
