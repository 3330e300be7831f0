-- Store a job and list its plan part.
-- ARGV: prefix, job id, owner, request id or "", class or "", retention ms, most open jobs,
--   most of one owner, most open parts, interactive jobs of one owner, window, request (JSON),
--   pixels (0 = not known), "<model>:<version>", trace or ""
-- Returns {"new" | "known" | "conflict" | "full" | "full for owner", job id or {job id, record}}
local id, owner, request, class = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local retention_ms, window, asked = tonumber(ARGV[6]), tonumber(ARGV[11]), ARGV[12]
local work_px, model, trace = tonumber(ARGV[13]), ARGV[14], ARGV[15]
local key = job_key(id)
if request ~= "" then
  local known = redis.call("HGET", P .. ":requests:" .. owner, request)
  if known then
    if redis.call("GET", job_key(known) .. ":request") ~= asked then return {"conflict", known} end
    return {"known", {known, record(known)}}
  end
end
-- A submission may be sent again when its answer was lost on the way.
if redis.call("EXISTS", key) == 1 then return {"known", {id, record(id)}} end
local backlog = redis.call("HMGET", BACKLOG, "jobs", "parts")
local open = tonumber(redis.call("HGET", OPEN, owner) or "0")
if tonumber(backlog[1] or "0") >= tonumber(ARGV[7]) then return {"full", ""} end
if open >= tonumber(ARGV[8]) then return {"full for owner", ""} end
if tonumber(backlog[2] or "0") >= tonumber(ARGV[9]) then return {"full", ""} end
if class == "" then class = open < tonumber(ARGV[10]) and "interactive" or "batch" end

local now = raw_ms()
redis.call("HSET", key, "state", "queued", "owner", owner, "class", class, "v", 0,
  "create_ms", now, "expire_ms", now + retention_ms)
if work_px > 0 then
  redis.call("HSET", key, "px", work_px, "model", model)
  count_work(model, work_px)
end
if trace ~= "" then redis.call("HSET", key, "trace", trace) end
redis.call("SET", key .. ":request", asked)
if request ~= "" then
  redis.call("HSET", P .. ":requests:" .. owner, request, id)
end
redis.call("SADD", OWNERS, owner)
redis.call("ZADD", P .. ":jobs:" .. owner, now, id)
redis.call("ZADD", EXPIRY, now + retention_ms, id)
count_open_jobs(owner, 1)
open_parts(id, 1)
offer(id, window)
changed(id)
return {"new", {id, record(id)}}
