-- Find entries whose lease ran out, and lease them again so that one finder takes each up.
--
-- One whose hint still waits in the queue only gets its lease: a busy queue grows no longer by that.
--
-- KEYS[1] {ns}:pending
-- ARGV[1] map: now, lease, limit, stage (of those wanted; '' for all), entry_prefix (same hash tag),
--            told_since (since when hints wait that are new, and told again)
-- return  {entry id, stage, attempts of it so far} ...
local a = cmsgpack.unpack(ARGV[1])
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', a.now, 'LIMIT', 0, a.limit)) do
  local key = a.entry_prefix .. id
  local f = redis.call('HMGET', key, 'stage', 'attempts', 'told', 'again', 'running')
  if a.stage == '' or a.stage == f[1] then
    redis.call('ZADD', KEYS[1], a.now + a.lease, id)
    local waits = f[1] == 'work' and f[5] ~= '1'
      and tonumber(f[3] or '0') >= a.told_since[f[4] == '1' and 2 or 1]
    if f[1] and not waits then
      redis.call('HSET', key, 'running', 0, 'told', a.now, 'again', 1)
      found[#found + 1] = {id, f[1], tonumber(f[2])}
    end
  end
end
return found
