-- Give an entry its one outcome and take it off the ledger.
--
-- KEYS[1] {ns}:entry:<id>  KEYS[2] {ns}:pending  KEYS[3] {ns}:counts  KEYS[4] {ns}:langs
-- ARGV[1] map: id, outcome, reason, fields (flat name, value list), lang ('' for none), ttl (s)
-- return  the outcome that the entry has now: the given one, or the one that it had before
local a = cmsgpack.unpack(ARGV[1])
local had = redis.call('HMGET', KEYS[1], 'outcome', 'stage')
if had[1] then return had[1] end
if not had[2] then return '' end
redis.call('HDEL', KEYS[1], 'summary', 'running', 'error')
redis.call('HSET', KEYS[1], 'outcome', a.outcome, 'reason', a.reason, 'stage', 'done', unpack(a.fields))
redis.call('EXPIRE', KEYS[1], a.ttl)
redis.call('ZREM', KEYS[2], a.id)
redis.call('HINCRBY', KEYS[3], a.outcome, 1)
if a.outcome == 'rejected' then redis.call('HINCRBY', KEYS[3], 'rejected:' .. a.reason, 1) end
if a.lang ~= '' then redis.call('SADD', KEYS[4], a.lang) end
return a.outcome
