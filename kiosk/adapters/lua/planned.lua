-- End of a plan: store the parts, hand out the first window of them.
-- ARGV: prefix, consumer, entry, window, notes (JSON), payload of part 0, payload of part 1, ...
-- Returns 1 = done, 0 = lease lost
local id, index = held(ARGV[3], ARGV[2])
if not id then return 0 end
drop_entry(ARGV[3])
local key = job_key(id)
if index ~= PLAN or not is_open(redis.call("HGET", key, "state") or "") then return 0 end
local window, count = tonumber(ARGV[4]), #ARGV - 5
for i = 0, count - 1 do redis.call("HSET", key .. ":parts", i, ARGV[6 + i]) end
local released = math.min(window, count)
redis.call("HSET", key, "stage", "parts", "parts_total", count, "parts_done", 0,
  "parts_released", released, "notes", ARGV[5])
open_parts(id, count)  -- the plan part itself becomes the join part
for i = 0, released - 1 do hand_out(id, i) end
if count == 0 then
  redis.call("HSET", key, "stage", "joining")
  hand_out(id, JOIN)
end
event(id)
return 1
