-- Note how a stage ended, unless the entry has its outcome already or its lease is another one's.
--
-- KEYS[1] {ns}:entry:<id>  KEYS[2] {ns}:pending
-- ARGV[1] map: id, token, due (when reconcile may take it up again), fields (flat name, value list)
-- return  1 when noted, 0 when the result is late or the entry unknown
--@include lease
local a = cmsgpack.unpack(ARGV[1])
if redis.call('HEXISTS', KEYS[1], 'stage') == 0 or redis.call('HEXISTS', KEYS[1], 'outcome') == 1
  or is_late(KEYS[1], a.token) then
  return 0
end
redis.call('HSET', KEYS[1], 'running', 0, unpack(a.fields))
redis.call('ZADD', KEYS[2], 'XX', a.due, a.id)
return 1
