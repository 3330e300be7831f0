-- The records of jobs.  ARGV: prefix, job id, job id, ...  Returns a record for each, empty = no such job
local found = {}
for i = 2, #ARGV do found[i - 1] = record(ARGV[i]) end
return found
