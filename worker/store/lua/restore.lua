-- Take the outcome back from an attached entry whose article is gone: it waits for the work stage
-- again, or in quarantine for a person.
--
-- KEYS[1] {ns}:entry:<id>  KEYS[2] {ns}:pending  KEYS[3] {ns}:counts  KEYS[4] {ns}:quarantine
-- ARGV[1] map: id, now, fields (flat name, value list, as it was claimed; none: not known any more),
--         hold ('' or why it goes into quarantine)
-- return  1 when done, 0 when the entry is not an attached one by now
--@include quarantine
local a = cmsgpack.unpack(ARGV[1])
if redis.call('HGET', KEYS[1], 'outcome') ~= 'attached' then return 0 end
redis.call('HDEL', KEYS[1], 'outcome', 'reason', 'story')
redis.call('PERSIST', KEYS[1])
redis.call('HSET', KEYS[1], 'stage', 'work', 'attempts', 0, 'running', 0, unpack(a.fields))
redis.call('HINCRBY', KEYS[3], 'attached', -1)
redis.call('HINCRBY', KEYS[3], 'restored', 1)
if a.hold == '' then
  redis.call('ZADD', KEYS[2], a.now, a.id)
else
  quarantine(KEYS, a.id, a.now, a.hold)
end
return 1
