-- Take a subscription in hand, to ask its hub: nobody else does before `retry_at`.
--
-- KEYS[1] {ns}:subscribing  KEYS[2] {ns}:subscription:<id>
-- ARGV[1] map: feed_id, token, now, retry_at, lives (s)
-- return  1 when it is the caller's to ask, else 0
--
-- The request counts as failed until the hub confirms it, which may come before its own answer.
local a = cmsgpack.unpack(ARGV[1])
local due = tonumber(redis.call('ZSCORE', KEYS[1], a.feed_id)) or math.huge
local token, leaving = unpack(redis.call('HMGET', KEYS[2], 'token', 'leaving'))
if due > a.now or token ~= a.token then return 0 end
redis.call('HSET', KEYS[2], 'asked_at', a.now, 'error', '', 'denied', '')
redis.call('HINCRBY', KEYS[2], 'failures', 1)
redis.call('ZADD', KEYS[1], a.retry_at, a.feed_id)
if leaving == '0' then redis.call('EXPIRE', KEYS[2], a.lives) end
return 1
