-- Forget a feed, with the address that it moved to, and have its hub told.
--
-- KEYS[1] {ns}:feeds  KEYS[2] {ns}:feed:<id>  KEYS[3] {ns}:moved  KEYS[4] {ns}:listed:<id>
-- KEYS[5] {ns}:subscribing  KEYS[6] {ns}:subscription:<id>
-- ARGV[1] map: feed_id
-- return  1 when it was followed, else 0
--@include leave
--@include end_subscription
local a = cmsgpack.unpack(ARGV[1])
leave(KEYS[2], KEYS[3], a.feed_id)
end_subscription(KEYS[5], KEYS[6], a.feed_id)
redis.call('DEL', KEYS[2], KEYS[4])
return redis.call('ZREM', KEYS[1], a.feed_id)
