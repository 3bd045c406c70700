-- Find entries whose lease ran out, and lease them again so that one finder takes each up.
--
-- KEYS[1] {ns}:pending
-- ARGV[1] map: now, lease, limit, entry_prefix (same hash tag)
-- return  {entry id, stage} ...
local a = cmsgpack.unpack(ARGV[1])
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', a.now, 'LIMIT', 0, a.limit)) do
  redis.call('ZADD', KEYS[1], a.now + a.lease, id)
  local stage = redis.call('HGET', a.entry_prefix .. id, 'stage')
  if stage then
    redis.call('HSET', a.entry_prefix .. id, 'running', 0)
    found[#found + 1] = {id, stage}
  end
end
return found
