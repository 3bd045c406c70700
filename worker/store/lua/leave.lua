-- Included by claim and unfollow: lets go of the address that a feed had moved to.
local function leave(feed, moved, id)
  local address = redis.call('HGET', feed, 'address')
  if address and redis.call('HGET', moved, address) == id then
    redis.call('HDEL', moved, address)
  end
end
