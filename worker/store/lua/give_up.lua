-- Put an entry into the quarantine without further attempts.
--
-- KEYS[1] {ns}:entry:<id>  KEYS[2] {ns}:pending  KEYS[3] {ns}:counts  KEYS[4] {ns}:quarantine
-- ARGV[1] map: id, now, reason
-- return  1 when it is there now, 0 when it had an outcome already or is unknown
--@include quarantine
local a = cmsgpack.unpack(ARGV[1])
local f = redis.call('HMGET', KEYS[1], 'stage', 'outcome')
if not f[1] or f[2] then return 0 end
quarantine(KEYS, a.id, a.now, a.reason)
return 1
