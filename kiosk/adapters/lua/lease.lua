-- Hand out the next part. A consumer that asks while it holds a lease has not had the answer: it is
-- told once more.
-- ARGV: prefix, consumer, lease ms, most attempts, window, parts of one owner (0 = any), batch turn,
--   litter ms
-- Returns {"part", index, payload, attempt, suspect, token, record}, {"more"} when it has to be asked
-- again, or {"none", ms until something is due, or -1}
local consumer, lease_ms, most = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local window, owner_parts, batch_turn = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local litter_ms = tonumber(ARGV[8])
local LOOKS = 100

even_when_full()
local now = clock_ms()

-- Parts whose delay is over.
for _, member in ipairs(redis.call("ZRANGEBYSCORE", DELAYED, "-inf", now, "LIMIT", 0, LOOKS)) do
  local id, index = string.match(member, "^([^/]*)/(-?%d+)$")
  redis.call("ZREM", DELAYED, member)
  redis.call("RPUSH", job_key(id) .. ":again", index)
  offer(id, window)
end

-- Parts whose consumer has not been heard of: they come first.
for _, token in ipairs(redis.call("ZRANGEBYSCORE", LEASES, "-inf", now, "LIMIT", 0, LOOKS)) do
  local id, index = end_lease(token)
  redis.call("HSET", job_key(id) .. ":attempts", index .. "!", 1)
  redis.call("LPUSH", job_key(id) .. ":again", index)
  offer(id, window)
end

local function told(id, index, attempt, token)
  local attempts = job_key(id) .. ":attempts"
  return {"part", index, redis.call("HGET", job_key(id) .. ":parts", index) or "{}", attempt,
    redis.call("HEXISTS", attempts, index .. "!"), token, record(id)}
end

local token = redis.call("HGET", HOLDERS, consumer)
if token then
  local id, index = parsed(token)
  return told(id, tonumber(index), redis.call("HGET", job_key(id) .. ":attempts", index), token)
end

-- The job whose turn it is, taken off its list.
local function next_job(class)
  local owner = redis.call("ZRANGE", ready_key(class), 0, 0)[1]
  if not owner then return nil end
  local id = redis.call("LPOP", list_key(class, owner))
  if not id then redis.call("ZREM", ready_key(class), owner) end
  return id, owner
end

-- An owner with nothing left takes no part in the turns.
local function let_out(class, owner)
  if redis.call("EXISTS", list_key(class, owner)) == 0 then
    redis.call("ZREM", ready_key(class), owner)
  end
end

local function next_index(id)
  local key = job_key(id)
  if state_of(id) == "queued" then
    redis.call("HSET", key, "state", "running", "stage", "planning", "start_ms", raw_ms())
    changed(id)
    return PLAN
  end
  local again = redis.call("LPOP", key .. ":again")
  if again then return tonumber(again) end
  local job = redis.call("HMGET", key, "next", "total")
  if tonumber(job[1] or "0") >= tonumber(job[2] or "0") then return nil end
  return redis.call("HINCRBY", key, "next", 1) - 1
end

-- Begin an attempt. Returns its number, or nil when there is nothing to do (any more).
local function begin(id, index)
  local key = job_key(id)
  if index >= 0 and redis.call("GETBIT", key .. ":done", index) == 1 then return nil end
  local attempt = redis.call("HINCRBY", key .. ":attempts", index, 1)
  if attempt <= most then return attempt end
  give_up(id, index, most, "The consumer stopped without a word, each time. The image may need"
    .. " more memory than there is.", litter_ms)
  return nil
end

local function hold(id, index, owner, turn)
  local token = string.format("%s/%d/%d.%.0f/%s", id, index, turn, now, consumer)
  redis.call("ZADD", LEASES, now + lease_ms, token)
  redis.call("SADD", job_key(id) .. ":held", token)
  redis.call("HSET", HOLDERS, consumer, token)
  if count_busy(owner, 1) >= owner_parts and owner_parts > 0 then
    redis.call("SADD", CAPPED, owner)
    redis.call("ZREM", ready_key("interactive"), owner)
    redis.call("ZREM", ready_key("batch"), owner)
  end
  return token
end

-- One look at the head of a class. Returns true when there was something to look at, and the part.
local function look(class)
  local id, owner = next_job(class)
  if not owner then return false end
  if not id then return true end
  local key = job_key(id)
  if not is_open(state_of(id)) then  -- closed while it stood in the list
    let_out(class, owner)
    return true
  end
  redis.call("HDEL", key, "listed")
  local index = next_index(id)
  local attempt = index and begin(id, index)
  if not attempt then
    offer(id, window)
    let_out(class, owner)
    return true
  end
  local turn = redis.call("INCR", P .. ":turn")
  redis.call("ZADD", ready_key(class), turn, owner)  -- to the end of the line
  local part = told(id, index, attempt, hold(id, index, owner, turn))
  offer(id, window)
  let_out(class, owner)
  return true, part
end

local order = {"interactive", "batch"}
if (tonumber(redis.call("GET", P .. ":turn") or "0") + 1) % batch_turn == 0 then
  order = {"batch", "interactive"}
end
for _ = 1, LOOKS do
  local seen, part = look(order[1])
  if not seen then seen, part = look(order[2]) end
  if part then return part end
  if not seen then
    local lease = redis.call("ZRANGE", LEASES, 0, 0, "WITHSCORES")[2]
    local due = redis.call("ZRANGE", DELAYED, 0, 0, "WITHSCORES")[2]
    local first = math.min(tonumber(lease or "inf") or math.huge, tonumber(due or "inf") or math.huge)
    return {"none", first < math.huge and math.max(1, math.ceil(first - now)) or -1}
  end
end
return {"more"}
