-- Find the subscriptions whose hubs are to be asked, and forget those that have ended.
--
-- KEYS[1] {ns}:subscribing
-- ARGV[1] map: now, limit, prefix (of {ns}:subscription:<id>; same hash tag)
-- return  {feed id, fields (flat)} ..., the longest overdue first
local a = cmsgpack.unpack(ARGV[1])
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', a.now, 'LIMIT', 0, a.limit)) do
  local fields = redis.call('HGETALL', a.prefix .. id)
  if #fields > 0 then
    found[#found + 1] = {id, fields}
  else
    redis.call('ZREM', KEYS[1], id)
  end
end
return found
