-- Keep a job until another time.  ARGV: prefix, job id, expire time in ms.  Returns 1, 0 = no such job
if state_of(ARGV[2]) == "" then return 0 end
redis.call("HSET", job_key(ARGV[2]), "expire_ms", ARGV[3])
redis.call("ZADD", EXPIRY, ARGV[3], ARGV[2])
changed(ARGV[2])
return 1
