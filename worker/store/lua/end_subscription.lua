-- Included by hub_offered and unfollow: a feed's pushes are not wanted any more.
--
-- A hub that was asked for them is told so, for a day; then its callback is unknown.
local function end_subscription(subscribing, subscription, id)
  local asked_at = redis.call('HGET', subscription, 'asked_at')
  if asked_at and tonumber(asked_at) > 0 then
    redis.call('HSET', subscription, 'leaving', 1, 'failures', 0)
    redis.call('EXPIRE', subscription, 86400)
    redis.call('ZADD', subscribing, 0, id)
  else
    redis.call('DEL', subscription)
    redis.call('ZREM', subscribing, id)
  end
end
