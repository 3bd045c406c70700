-- Give the lease of a feed back without a poll.
--
-- KEYS[1] {ns}:feeds  KEYS[2] {ns}:feed:<id>
-- ARGV[1] map: feed_id, token (of the lease), at (when it is due)
-- return  1 when the lease was held, else 0
local a = cmsgpack.unpack(ARGV[1])
if redis.call('HGET', KEYS[2], 'lease') ~= a.token then return 0 end
redis.call('HDEL', KEYS[2], 'lease')
redis.call('ZADD', KEYS[1], 'XX', a.at, a.feed_id)
return 1
