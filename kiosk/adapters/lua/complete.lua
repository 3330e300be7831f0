-- End of a part: count it once; the last one lets the join be handed out.
-- ARGV: prefix, token, window.  Returns 1 = done, 0 = lease lost
local id, index = end_lease(ARGV[2])
if not id then return 0 end
local key, window = job_key(id), tonumber(ARGV[3])
redis.call("HDEL", key .. ":attempts", index, index .. "!", index .. "~")
redis.call("HDEL", key .. ":said", "waiting_for")
if redis.call("SETBIT", key .. ":done", index, 1) == 0 then
  open_parts(id, -1)
  local _, share_px, model = work_of(id)
  count_work(model, -share_px)
  count_pace(ARGV[2], model, share_px)
  local done = redis.call("HINCRBY", key, "done", 1)
  if done == tonumber(redis.call("HGET", key, "total")) then
    redis.call("HSET", key, "stage", "joining")
    redis.call("RPUSH", key .. ":again", JOIN)
  end
end
offer(id, window)
changed(id)
return 1
