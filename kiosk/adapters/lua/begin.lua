-- Start an attempt at a part that was just handed to a consumer.
-- ARGV: prefix, consumer, entry, most attempts
-- Returns {record, index, payload, attempt}, or false when there is nothing (more) to do
local consumer, entry, most = ARGV[2], ARGV[3], tonumber(ARGV[4])
local id, index = held(entry, consumer)
if not id then return false end
local key = job_key(id)
local state = redis.call("HGET", key, "state")
if not state or not is_open(state) then drop_entry(entry) return false end
if index >= 0 and redis.call("GETBIT", key .. ":done", index) == 1 then
  drop_entry(entry)
  return false
end
local attempt = redis.call("HINCRBY", key .. ":attempts", index, 1)
if attempt > most then
  drop_entry(entry)
  give_up(id, index, most, "The consumer stopped without a word, each time. The image may need"
    .. " more memory than there is.")
  return false
end
if state == "queued" then
  redis.call("HSET", key, "state", "running", "stage", "planning", "start_ms", now_ms())
  event(id)
end
local payload = redis.call("HGET", key .. ":parts", index) or "{}"
return {redis.call("HGETALL", key), index, payload, attempt}
