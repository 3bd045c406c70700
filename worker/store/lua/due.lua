-- Lease the feeds whose time has come, so that no other poller takes them too.
--
-- KEYS[1] {ns}:feeds
-- ARGV[1] map: now, lease (s), limit, token (proves the leases to `keep` and `claim`), feed_prefix
--            (same hash tag)
-- return  the feed ids
local a = cmsgpack.unpack(ARGV[1])
local leased = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', a.now, 'LIMIT', 0, a.limit)
for _, id in ipairs(leased) do
  redis.call('ZADD', KEYS[1], a.now + a.lease, id)
  redis.call('HSET', a.feed_prefix .. id, 'lease', a.token)
end
return leased
