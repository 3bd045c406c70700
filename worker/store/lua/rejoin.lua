-- Put a feed that was polled in the future back on the schedule: somebody's clock was ahead.
--
-- KEYS[1] {ns}:feeds  KEYS[2] {ns}:feed:<id>
-- ARGV[1] map: feed_id, now, slack (s)
-- return  1 when it was put back, else 0
local a = cmsgpack.unpack(ARGV[1])
local polled_at = tonumber(redis.call('HGET', KEYS[2], 'polled_at') or '0')
if polled_at <= a.now + a.slack then return 0 end
local due = tonumber(redis.call('ZSCORE', KEYS[1], a.feed_id) or polled_at)
redis.call('HSET', KEYS[2], 'polled_at', a.now)
redis.call('ZADD', KEYS[1], 'XX', a.now + math.max(due - polled_at, 0), a.feed_id)
return 1
