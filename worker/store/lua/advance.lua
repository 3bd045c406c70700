-- Note how a stage ended, unless the entry has its outcome already (a late result changes nothing).
--
-- KEYS[1] {ns}:entry:<id>  KEYS[2] {ns}:pending
-- ARGV[1] map: id, due (when reconcile may take it up again), fields (flat name, value list)
-- return  1 when noted, 0 when the entry was settled or is unknown
local a = cmsgpack.unpack(ARGV[1])
if redis.call('HEXISTS', KEYS[1], 'stage') == 0 or redis.call('HEXISTS', KEYS[1], 'outcome') == 1 then
  return 0
end
redis.call('HSET', KEYS[1], 'running', 0, unpack(a.fields))
redis.call('ZADD', KEYS[2], 'XX', a.due, a.id)
return 1
