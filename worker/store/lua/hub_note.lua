-- Write what came of asking a hub, unless the feed has another subscription by now.
--
-- KEYS[1] {ns}:subscribing  KEYS[2] {ns}:subscription:<id>
-- ARGV[1] map: feed_id, token, fields (flat name, value list; none: the subscription has ended),
--         due_at (when the hub is asked next), failed (1: only while the request is not confirmed)
-- return  1 when it was written, else 0
local a = cmsgpack.unpack(ARGV[1])
local token, failures = unpack(redis.call('HMGET', KEYS[2], 'token', 'failures'))
if token ~= a.token or (a.failed == 1 and failures == '0') then return 0 end
if #a.fields == 0 then
  redis.call('DEL', KEYS[2])
  redis.call('ZREM', KEYS[1], a.feed_id)
else
  redis.call('HSET', KEYS[2], unpack(a.fields))
  redis.call('ZADD', KEYS[1], a.due_at, a.feed_id)
end
return 1
