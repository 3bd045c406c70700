-- Lease the feeds whose time has come, so that no other poller takes them too.
--
-- KEYS[1] {ns}:feeds
-- ARGV[1] map: now, lease (s), limit, token (proves the leases to `keep` and `claim`), feed_prefix
--            (same hash tag)
-- return  of each its id and its fields (flat)
local a = cmsgpack.unpack(ARGV[1])
local leased = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', a.now, 'LIMIT', 0, a.limit)
local found = {}
for i, id in ipairs(leased) do
  redis.call('ZADD', KEYS[1], a.now + a.lease, id)
  redis.call('HSET', a.feed_prefix .. id, 'lease', a.token)
  found[i] = { id, redis.call('HGETALL', a.feed_prefix .. id) }
end
return found
