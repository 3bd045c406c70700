-- Lease the feeds whose time has come, so that no other poller takes them too.
--
-- KEYS[1] {ns}:feeds
-- ARGV[1] map: now, lease (s), limit
-- return  {feed id, score} ...; the score proves the lease to `claim`
local a = cmsgpack.unpack(ARGV[1])
local leased = {}
local poll = string.format('%.3f', a.now + a.lease)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', a.now, 'LIMIT', 0, a.limit)) do
  redis.call('ZADD', KEYS[1], poll, id)
  leased[#leased + 1] = {id, poll}
end
return leased
