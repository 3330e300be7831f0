-- Put in front of every script by redis_queue.py.
--
-- Keys, all below one prefix P (a hash tag, so that a cluster keeps them together):
--   P:job:<id>           hash      state, stage, v (counts changes), owner, class, times, counters;
--                                  short values only, so that Redis keeps it as one small block;
--                                  px and model ("<model>:<version>"): its work, left out when not
--                                  known; trace: left out when it is not traced
--   P:job:<id>:request   string    what was asked, as JSON; never changes
--   P:job:<id>:said      hash      sentences: error, notes, waiting_for, the dead letter
--   P:job:<id>:parts     hash      index -> payload of each part
--   P:job:<id>:done      bitmap    bit i is set when part i is done
--   P:job:<id>:attempts  hash      index -> attempts begun; "<index>!" one ended without a word;
--                                  "<index>~" -> how often an outage sent it back
--   P:job:<id>:again     list      parts to be handed out once more, and the join
--   P:job:<id>:held      set       tokens of the leases on parts of this job
--   P:ready:<class>      zset      owners who have something to hand out, by the turn of their last
--   P:ready:<class>:<o>  list      jobs of that owner that have something to hand out, in turn
--   P:busy               hash      owner -> parts leased
--   P:capped             set       owners with as many parts leased as one may have
--   P:leases             zset      tokens by the time (of the queue's clock) at which they run out
--   P:holders            hash      consumer -> its token; one that asks again has lost the answer
--   P:delayed            zset      "<id>/<index>" that wait for another attempt, by due time
--   P:clock              hash      raw: time of the last step; ms: the queue's clock
--   P:turn               string    counts hand-outs
--   P:bell               list      rung when there is something to hand out; consumers sleep on it
--   P:owners             set       owners with jobs
--   P:jobs:<owner>       zset      jobs by creation time in ms
--   P:requests:<owner>   hash      request id -> job id
--   P:expiry             zset      all jobs by expire time in ms
--   P:litter             zset      closed jobs whose files are to be removed, by due time
--   P:dead               zset      jobs that were given up, by time in ms
--   P:backlog            hash      parts, jobs: open parts and open jobs
--   P:open               hash      owner -> open jobs
--   P:work               hash      "<model>:<version>" -> pixels of open jobs that are not done
--   P:pace               hash      "<model>:<version>" -> "px ms at": pixels done and time that slots
--                                  took for them, both decayed until that time of the queue's clock
--   P:schema             string    number of this layout; redis_schema.py checks it
-- Channel P:job:<id> tells watchers that a job has changed.
--
-- A token is "<id>/<index>/<turn>.<begin ms of the queue's clock>/<consumer>": who knows a token
-- holds a lease.
-- ARGV[1] is the prefix in every script. Times come from Redis itself: one clock for all.
redis.replicate_commands()

local P = ARGV[1]
local LEASES, DELAYED, BACKLOG, CLOCK = P .. ":leases", P .. ":delayed", P .. ":backlog", P .. ":clock"
local BUSY, CAPPED, OPEN, BELL = P .. ":busy", P .. ":capped", P .. ":open", P .. ":bell"
local EXPIRY, LITTER, DEAD, OWNERS = P .. ":expiry", P .. ":litter", P .. ":dead", P .. ":owners"
local HOLDERS, WORK, PACE = P .. ":holders", P .. ":work", P .. ":pace"
local PLAN, JOIN = -1, -2
local LONGEST_TICK_MS = 5000
local MOST_RINGS = 64
local PACE_HALF_LIFE_MS = 300000  -- as in queue_policy.py

local function raw_ms()
  local t = redis.call("TIME")
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- The queue's own clock: it never goes back, and never far ahead in one step, so leases outlive an
-- outage of Redis and a jump of the machine's clock.
local function clock_ms()
  local raw = raw_ms()
  local seen = redis.call("HMGET", CLOCK, "raw", "ms")
  local ms = raw
  if seen[1] then
    ms = tonumber(seen[2]) + math.max(0, math.min(raw - tonumber(seen[1]), LONGEST_TICK_MS))
  end
  redis.call("HSET", CLOCK, "raw", raw, "ms", ms)
  return ms
end

-- Redis out of memory refuses a script whose first write may need some. What ends or hands out work
-- must go on then, because only that frees memory; so it begins with a write that needs none.
local function even_when_full() redis.call("DEL", P .. ":nothing") end

local function job_key(id) return P .. ":job:" .. id end
local function ready_key(class) return P .. ":ready:" .. class end
local function list_key(class, owner) return P .. ":ready:" .. class .. ":" .. owner end

local function is_open(state) return state == "queued" or state == "running" end

local function state_of(id) return redis.call("HGET", job_key(id), "state") or "" end

-- Tell watchers that something has changed.
local function changed(id)
  redis.call("HINCRBY", job_key(id), "v", 1)
  redis.call("PUBLISH", job_key(id), "")
end

-- The whole record, as redis_queue.py reads it.
local function record(id)
  local key = job_key(id)
  return {redis.call("HGETALL", key), redis.call("GET", key .. ":request"),
    redis.call("HGETALL", key .. ":said")}
end

local function ring()
  if redis.call("LLEN", BELL) < MOST_RINGS then redis.call("LPUSH", BELL, "") end
end

-- Let an owner take part in the turns of a class.
local function let_in(class, owner)
  if redis.call("SISMEMBER", CAPPED, owner) == 1 then return end
  redis.call("ZADD", ready_key(class), "NX", redis.call("GET", P .. ":turn") or 0, owner)
  ring()
end

-- Whether a job has a part that nobody has and that may be handed out.
local function has_more(id)
  local key = job_key(id)
  local job = redis.call("HMGET", key, "state", "next", "total")
  if job[1] == "queued" then return true end
  return redis.call("LLEN", key .. ":again") > 0
    or tonumber(job[2] or "0") < tonumber(job[3] or "0")
end

-- List a job among those of its owner, if it has something to hand out and room in its window.
local function offer(id, window)
  local key = job_key(id)
  local job = redis.call("HMGET", key, "class", "owner", "listed")
  if job[3] == "1" or not has_more(id) then return end
  if redis.call("SCARD", key .. ":held") >= window then return end
  redis.call("RPUSH", list_key(job[1], job[2]), id)
  redis.call("HSET", key, "listed", 1)
  let_in(job[1], job[2])
end

local function parsed(token) return string.match(token, "^([^/]*)/(-?%d+)/") end

local function count_busy(owner, change)
  local busy = redis.call("HINCRBY", BUSY, owner, change)
  if busy <= 0 then redis.call("HDEL", BUSY, owner) end
  if change < 0 and redis.call("SREM", CAPPED, owner) == 1 then
    for _, class in ipairs({"interactive", "batch"}) do
      if redis.call("EXISTS", list_key(class, owner)) == 1 then let_in(class, owner) end
    end
  end
  return busy
end

-- End a lease. Returns job id and index of its part, or nil when it is not this consumer's any more.
local function end_lease(token)
  if redis.call("ZREM", LEASES, token) == 0 then return nil end
  local id, index = parsed(token)
  local consumer = string.match(token, "^[^/]*/[^/]*/[^/]*/(.*)$")
  if redis.call("HGET", HOLDERS, consumer) == token then redis.call("HDEL", HOLDERS, consumer) end
  redis.call("SREM", job_key(id) .. ":held", token)
  count_busy(redis.call("HGET", job_key(id), "owner") or "", -1)
  return id, tonumber(index)
end

local function open_parts(id, change)
  redis.call("HINCRBY", job_key(id), "open", change)
  redis.call("HINCRBY", BACKLOG, "parts", change)
end

local function count_open_jobs(owner, change)
  -- With nothing open all counts are zero, also where a kiosk that did not know them yet took part.
  if redis.call("HINCRBY", BACKLOG, "jobs", change) <= 0 then redis.call("DEL", WORK) end
  if redis.call("HINCRBY", OPEN, owner, change) <= 0 then redis.call("HDEL", OPEN, owner) end
end

-- Pixels of a job that are not done, those of each part, and its model. What the division leaves
-- over goes when the job closes. Without a model the work of the job is not known.
local function work_of(id)
  local job = redis.call("HMGET", job_key(id), "px", "model", "total", "done")
  if not job[1] then return 0, 0, nil end
  local px, total = tonumber(job[1]), tonumber(job[3] or "0")
  local share = total > 0 and math.floor(px / total) or 0
  return px - share * tonumber(job[4] or "0"), share, job[2]
end

local function count_work(model, change_px)
  if not model or change_px == 0 then return end
  if redis.call("HINCRBY", WORK, model, change_px) <= 0 then redis.call("HDEL", WORK, model) end
end

-- Pixels done for a model and milliseconds that slots took for them, as they weigh now.
local function pace_of(model, now)
  local px, ms, at = string.match(redis.call("HGET", PACE, model) or "0 0 0", "(%S+) (%S+) (%S+)")
  local weight = 2 ^ ((tonumber(at) - now) / PACE_HALF_LIFE_MS)
  return tonumber(px) * weight, tonumber(ms) * weight
end

-- A lease has ended well, after so many pixels of its job's model.
local function count_pace(token, model, done_px)
  local begin_ms = string.match(token, "^[^/]*/[^/]*/%d+%.(%d+)/")
  if not (model and begin_ms) then return end  -- an older kiosk began it
  local now = clock_ms()
  local px, ms = pace_of(model, now)
  px, ms = px + done_px, ms + (now - tonumber(begin_ms))
  redis.call("HSET", PACE, model, string.format("%.17g %.17g %.0f", px, ms, now))
end

-- Close a job: state, counters, leases, and everything that only an open job needs.
local function close(id, state, reason, message, litter_ms)
  local key = job_key(id)
  local now = raw_ms()
  local job = redis.call("HMGET", key, "open", "owner", "state")
  for _, token in ipairs(redis.call("SMEMBERS", key .. ":held")) do end_lease(token) end
  for _, index in ipairs(redis.call("HKEYS", key .. ":attempts")) do
    redis.call("ZREM", DELAYED, id .. "/" .. index)
  end
  redis.call("DEL", key .. ":parts", key .. ":done", key .. ":attempts", key .. ":again")
  redis.call("HDEL", key .. ":said", "waiting_for")
  local left_px, _, model = work_of(id)
  count_work(model, -left_px)
  open_parts(id, -tonumber(job[1] or "0"))
  count_open_jobs(job[2], -1)
  redis.call("HSET", key, "state", state, "stage", "finished", "end_ms", now)
  if reason ~= "" then redis.call("HSET", key .. ":said", "reason", reason, "error", message) end
  if job[3] == "running" then redis.call("ZADD", LITTER, clock_ms() + litter_ms, id) end
  changed(id)
end

-- The last attempt at a part has failed: its job fails and stands among the dead letters.
local function give_up(id, index, attempts, reason, litter_ms)
  redis.call("HSET", job_key(id) .. ":said", "dead_index", index, "dead_attempts", attempts,
    "dead_reason", reason)
  redis.call("ZADD", DEAD, raw_ms(), id)
  close(id, "failed", "ATTEMPTS_EXHAUSTED",
    "This job was given up after " .. attempts .. " attempts. The last one ended with: " .. reason,
    litter_ms)
end

-- Let a part wait before it is handed out again.
local function delay(id, index, delay_ms)
  redis.call("ZADD", DELAYED, clock_ms() + delay_ms, id .. "/" .. index)
end
