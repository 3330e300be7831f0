-- Cancel an open job.  ARGV: prefix, job id.  Returns 1 = known job, 0 = no such job
local state = redis.call("HGET", job_key(ARGV[2]), "state")
if not state then return 0 end
if is_open(state) then close(ARGV[2], "cancelled", "", "") end
return 1
