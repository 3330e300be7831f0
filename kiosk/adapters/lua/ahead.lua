-- About how many jobs have a turn before a queued one.
-- ARGV: prefix, job id, batch turn.  Returns the number, -1 = not queued (any more), -2 = no such job
--
-- Owners take turns, so before the job at place p of its owner's list every other owner has p turns,
-- and one more who stands before this owner; no owner has more turns than jobs. Of the other class
-- go as many as the turns between leave. Owners and places far back are not looked at one by one.
local MOST_OWNERS, MOST_PLACES = 200, 10000
local id, batch_turn = ARGV[2], tonumber(ARGV[3])
local job = redis.call("HMGET", job_key(id), "state", "class", "owner")
if not job[1] then return -2 end
if job[1] ~= "queued" then return -1 end
local class, owner = job[2], job[3]
local list = list_key(class, owner)

local length = redis.call("LLEN", list)
local place = redis.call("LPOS", list, id, "MAXLEN", MOST_PLACES)
  or redis.call("LPOS", list, id, "RANK", -1, "MAXLEN", MOST_PLACES)
  or (length > 2 * MOST_PLACES and math.floor(length / 2) or length)

-- An owner with as many parts out as one may have stands in no line: all others go before.
local own_rank = redis.call("ZRANK", ready_key(class), owner) or math.huge

-- The jobs of all owners of a class but this one; `turns` says how many of each count at most.
local function count(of_class, turns)
  local owners, sum = redis.call("ZRANGE", ready_key(of_class), 0, MOST_OWNERS - 1), 0
  for rank, other in ipairs(owners) do
    if of_class ~= class or other ~= owner then
      sum = sum + math.min(redis.call("LLEN", list_key(of_class, other)), turns(rank - 1))
    end
  end
  -- Those behind count as one job each, if they have a turn at all.
  local standing = redis.call("ZCARD", ready_key(of_class))
  local rest = math.max(0, standing - MOST_OWNERS)
  if of_class ~= class then return sum + rest end
  local before = math.max(0, math.min(own_rank, standing) - MOST_OWNERS)
  local own = own_rank >= MOST_OWNERS and own_rank < standing and 1 or 0
  return sum + before + (place > 0 and rest - before - own or 0)
end

local ahead = place + count(class, function(rank) return place + (rank < own_rank and 1 or 0) end)
local function any() return math.huge end
if class == "interactive" then
  return ahead + math.min(count("batch", any), math.floor(ahead / (batch_turn - 1)))
end
return ahead + math.min(count("interactive", any), (ahead + 1) * (batch_turn - 1))
