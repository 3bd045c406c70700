-- Let a feed that is said to have something new be polled as soon as it may be.
--
-- KEYS[1] {ns}:feeds  KEYS[2] {ns}:feed:<id>  KEYS[3] {ns}:subscription:<id>
-- ARGV[1] map: feed_id, token (of the subscription), now, at (when it is polled, if
--         nothing forbids)
-- return  1 when it is polled sooner than it would have been, else 0
--
-- `soonest_at` is what the last poll found out, which may have ended since `at` was chosen. A feed with
-- a lease is being polled now, or again at the end of it: its score is not ours to change.
local a = cmsgpack.unpack(ARGV[1])
if redis.call('HGET', KEYS[3], 'token') ~= a.token then return 0 end
redis.call('HSET', KEYS[3], 'pushed_at', a.now)
local soonest_at, lease = unpack(redis.call('HMGET', KEYS[2], 'soonest_at', 'lease'))
local due = tonumber(redis.call('ZSCORE', KEYS[1], a.feed_id)) or 0
if lease or not soonest_at then return 0 end
local at = math.max(a.at, tonumber(soonest_at))
if due <= at then return 0 end
redis.call('ZADD', KEYS[1], at, a.feed_id)
redis.call('HSET', KEYS[2], 'why', 'pushed')
return 1
