-- Find entries whose lease ran out, and lease them again so that one finder takes each up.
--
-- KEYS[1] {ns}:pending
-- ARGV[1] map: now, lease, limit, entry_prefix (same hash tag)
-- return  {entry id, stage, attempts of it so far} ...
local a = cmsgpack.unpack(ARGV[1])
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', a.now, 'LIMIT', 0, a.limit)) do
  redis.call('ZADD', KEYS[1], a.now + a.lease, id)
  local f = redis.call('HMGET', a.entry_prefix .. id, 'stage', 'attempts')
  if f[1] then
    redis.call('HSET', a.entry_prefix .. id, 'running', 0)
    found[#found + 1] = {id, f[1], tonumber(f[2])}
  end
end
return found
