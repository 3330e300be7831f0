-- Jobs whose expire time has passed.  ARGV: prefix, most.  Returns their ids, the oldest first
return redis.call("ZRANGEBYSCORE", EXPIRY, "-inf", raw_ms(), "LIMIT", 0, ARGV[2])
