-- Put in front of every script by redis_queue.py.
--
-- Keys, all below one prefix P (a hash tag, so that a cluster keeps them together):
--   P:parts              stream    handed-out parts {job, index}; consumer group "consumers"
--   P:delayed            zset      parts that wait for another attempt, by due time in ms
--   P:jobs               zset      all jobs by creation time in ms
--   P:expiry             zset      all jobs by expire time in ms
--   P:backlog            hash      parts, jobs: open parts and open jobs
--   P:dead               stream    dead letters {job, index, kind, attempts, reason, time_ms}
--   P:request:<o>:<r>    string    job id of a request id, with the request's fingerprint
--   P:job:<id>           hash      the job record
--   P:job:<id>:parts     hash      index -> payload of each part
--   P:job:<id>:done      bitmap    bit i is set when part i is done
--   P:job:<id>:attempts  hash      index -> attempts begun
--   P:job:<id>:events    stream    what happened, for watchers
--
-- ARGV[1] is the prefix in every script. Times come from Redis itself: one clock for all.
redis.replicate_commands()

local P = ARGV[1]
local GROUP = "consumers"
local PARTS, DELAYED, BACKLOG = P .. ":parts", P .. ":delayed", P .. ":backlog"
local PLAN, JOIN = -1, -2
local EVENTS_KEPT = 1000
local DEAD_KEPT = 10000

local function now_ms()
  local t = redis.call("TIME")
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function job_key(id) return P .. ":job:" .. id end

local function is_open(state) return state == "queued" or state == "running" end

local function event(id)
  redis.call("XADD", job_key(id) .. ":events", "MAXLEN", "~", EVENTS_KEPT, "*",
    "record", cjson.encode(redis.call("HGETALL", job_key(id))))
end

local function hand_out(id, index)
  redis.call("XADD", PARTS, "*", "job", id, "index", index)
end

local function drop_entry(entry)
  redis.call("XACK", PARTS, GROUP, entry)
  redis.call("XDEL", PARTS, entry)
end

-- The job and index behind an entry, or nil when this consumer does not hold it any more.
local function held(entry, consumer)
  local pending = redis.call("XPENDING", PARTS, GROUP, entry, entry, 1)
  if #pending == 0 or pending[1][2] ~= consumer then return nil end
  local found = redis.call("XRANGE", PARTS, entry, entry)
  if #found == 0 then return nil end
  return found[1][2][2], tonumber(found[1][2][4])
end

local function open_parts(id, change)
  redis.call("HINCRBY", job_key(id), "open_parts", change)
  redis.call("HINCRBY", BACKLOG, "parts", change)
end

-- Close a job: state, counters, and everything that only an open job needs.
local function close(id, state, reason, message)
  local key = job_key(id)
  local open = tonumber(redis.call("HGET", key, "open_parts") or "0")
  open_parts(id, -open)
  redis.call("HINCRBY", BACKLOG, "jobs", -1)
  redis.call("HSET", key, "state", state, "stage", "finished", "end_ms", now_ms(),
    "error_reason", reason, "error", message)
  redis.call("DEL", key .. ":parts", key .. ":done", key .. ":attempts")
  event(id)
end

local function kind_of(index)
  if index == PLAN then return "plan" elseif index == JOIN then return "join" end
  return "part"
end

local function dead_letter(id, index, attempts, reason)
  redis.call("XADD", P .. ":dead", "MAXLEN", "~", DEAD_KEPT, "*", "job", id, "index", index,
    "kind", kind_of(index), "attempts", attempts, "reason", reason, "time_ms", now_ms())
end

local function give_up(id, index, attempts, reason)
  dead_letter(id, index, attempts, reason)
  close(id, "failed", "ATTEMPTS_EXHAUSTED",
    "This job was given up after " .. attempts .. " attempts. The last one ended with: " .. reason)
end
