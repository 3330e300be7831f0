-- Keep a lease.  ARGV: prefix, token, lease ms.  Returns 1 = kept, 0 = lost
if redis.call("ZREM", LEASES, ARGV[2]) == 0 then return 0 end
redis.call("ZADD", LEASES, clock_ms() + tonumber(ARGV[3]), ARGV[2])
return 1
