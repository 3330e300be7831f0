-- What is waiting or being done.  ARGV: prefix
-- Returns {parts, jobs, leases, ms since the oldest job next in line was submitted, models}, and of
-- each model "<model>:<version>", its open pixels, and pixels per second of a slot as text
--
-- The oldest is looked for among the first jobs of so many owners of each class, the longest without
-- a turn; those behind them wait about as long.
local MOST_OWNERS = 100
local LEAST_PACE_MS = 1  -- of slots, as they weigh now; what weighs less is forgotten, as in queue_policy.py
even_when_full()
local now = clock_ms()

local function age_ms(id)
  local job = redis.call("HMGET", job_key(id), "state", "create_ms")
  return is_open(job[1]) and raw_ms() - tonumber(job[2]) or 0  -- some are closed as they stand there
end

local oldest_ms = 0
for _, class in ipairs({"interactive", "batch"}) do
  for _, owner in ipairs(redis.call("ZRANGE", ready_key(class), 0, MOST_OWNERS - 1)) do
    local id = redis.call("LINDEX", list_key(class, owner), 0)
    if id then oldest_ms = math.max(oldest_ms, age_ms(id)) end
  end
end

local models = {}
local function tell(model, open_px)
  local px, ms = pace_of(model, now)
  if open_px == "0" and ms < LEAST_PACE_MS then
    redis.call("HDEL", PACE, model)
    return
  end
  for _, value in ipairs({model, open_px, string.format("%.17g", ms > 0 and px / ms * 1000 or 0)}) do
    table.insert(models, value)
  end
end

local is_told = {}
local work = redis.call("HGETALL", WORK)
for i = 1, #work, 2 do
  is_told[work[i]] = true
  tell(work[i], work[i + 1])
end
for _, model in ipairs(redis.call("HKEYS", PACE)) do
  if not is_told[model] then tell(model, "0") end
end

local counts = redis.call("HMGET", BACKLOG, "parts", "jobs")
return {tonumber(counts[1] or "0"), tonumber(counts[2] or "0"), redis.call("ZCARD", LEASES),
  oldest_ms, models}
