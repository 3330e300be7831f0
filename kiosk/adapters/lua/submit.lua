-- Store a job and hand out its plan part.
-- ARGV: prefix, job id, request key or "", fingerprint, open job limit, retention ms, field, value, ...
-- Returns {"new" | "known" | "conflict" | "full", job id}
local id, request, fingerprint = ARGV[2], ARGV[3], ARGV[4]
local limit, retention_ms = tonumber(ARGV[5]), tonumber(ARGV[6])
if request ~= "" then
  local known = redis.call("GET", P .. ":request:" .. request)
  if known then
    local before = cjson.decode(known)
    if before.fingerprint ~= fingerprint then return {"conflict", before.id} end
    if redis.call("EXISTS", job_key(before.id)) == 1 then return {"known", before.id} end
  end
end
-- A submission may be sent again when its answer was lost on the way.
if redis.call("EXISTS", job_key(id)) == 1 then return {"known", id} end
if tonumber(redis.call("HGET", BACKLOG, "jobs") or "0") >= limit then return {"full", ""} end

local now = now_ms()
local fields = {}
for i = 7, #ARGV do fields[#fields + 1] = ARGV[i] end
redis.call("HSET", job_key(id), "id", id, "create_ms", now, "expire_ms", now + retention_ms,
  "state", "queued", "stage", "waiting", "open_parts", 0, unpack(fields))
redis.call("ZADD", P .. ":jobs", now, id)
redis.call("ZADD", P .. ":expiry", now + retention_ms, id)
redis.call("HINCRBY", BACKLOG, "jobs", 1)
open_parts(id, 1)
hand_out(id, PLAN)
event(id)
if request ~= "" then
  redis.call("SET", P .. ":request:" .. request,
    cjson.encode({id = id, fingerprint = fingerprint}), "PX", retention_ms)
end
return {"new", id}
