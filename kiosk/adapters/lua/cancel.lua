-- Cancel an open job.  ARGV: prefix, job id, litter ms.  Returns 1 = known job, 0 = no such job
local state = state_of(ARGV[2])
if state == "" then return 0 end
if is_open(state) then close(ARGV[2], "cancelled", "", "", tonumber(ARGV[3])) end
return 1
