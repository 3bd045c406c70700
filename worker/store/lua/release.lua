-- Take an entry out of the quarantine: back to its stage with fresh attempts, or dropped for good.
--
-- KEYS[1] {ns}:entry:<id>  KEYS[2] {ns}:pending  KEYS[3] {ns}:counts  KEYS[4] {ns}:quarantine
-- ARGV[1] map: id, now, drop (boolean), ttl (s)
-- return  1 when it was in the quarantine, else 0
local a = cmsgpack.unpack(ARGV[1])
if redis.call('ZREM', KEYS[4], a.id) == 0 then return 0 end
redis.call('HINCRBY', KEYS[3], 'quarantined', -1)
if a.drop then
  redis.call('HSET', KEYS[1], 'outcome', 'rejected', 'reason', 'dropped', 'stage', 'done')
  redis.call('HDEL', KEYS[1], 'summary', 'running', 'token', 'told', 'again', 'error', 'trace')
  redis.call('EXPIRE', KEYS[1], a.ttl)
  redis.call('HINCRBY', KEYS[3], 'rejected', 1)
  redis.call('HINCRBY', KEYS[3], 'rejected:dropped', 1)
else
  redis.call('HDEL', KEYS[1], 'outcome', 'reason', 'token', 'told', 'again', 'error', 'trace')
  redis.call('HSET', KEYS[1], 'attempts', 0)
  redis.call('ZADD', KEYS[2], a.now, a.id)
end
return 1
