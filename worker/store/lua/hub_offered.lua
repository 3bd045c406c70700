-- Note which hub a feed names, so that it is asked to push; or that the feed names none any more.
--
-- KEYS[1] {ns}:feeds  KEYS[2] {ns}:subscribing  KEYS[3] {ns}:subscription:<id>
-- ARGV[1] map: feed_id, hub ('' for none), topic, token and secret (of a new subscription), now,
--         gap (s, at least between two requests for one feed), lives (s)
-- return  1 when that is news, else 0
--@include end_subscription
local a = cmsgpack.unpack(ARGV[1])
local hub, topic, leaving, asked_at =
  unpack(redis.call('HMGET', KEYS[3], 'hub', 'topic', 'leaving', 'asked_at'))
if a.hub == '' then
  if not hub or leaving == '1' then return 0 end
  end_subscription(KEYS[2], KEYS[3], a.feed_id)
  return 1
end
if not redis.call('ZSCORE', KEYS[1], a.feed_id) then return 0 end
if hub == a.hub and topic == a.topic and leaving == '0' then return 0 end
-- The old subscription is forgotten: when its hub pushes, it learns that there is no such callback.
local due = a.now
if hub and tonumber(asked_at) > 0 then
  due = math.max(due, tonumber(asked_at) + a.gap)
elseif hub then
  due = math.max(due, tonumber(redis.call('ZSCORE', KEYS[2], a.feed_id)) or due)
end
redis.call('DEL', KEYS[3])
redis.call('HSET', KEYS[3], 'hub', a.hub, 'topic', a.topic, 'token', a.token, 'secret', a.secret,
  'leaving', 0, 'asked_at', 0, 'failures', 0)
redis.call('EXPIRE', KEYS[3], a.lives)
redis.call('ZADD', KEYS[2], due, a.feed_id)
return 1
