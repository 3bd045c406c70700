-- Give an entry its one outcome and take it off the ledger.
--
-- KEYS[1] {ns}:entry:<id>  KEYS[2] {ns}:pending  KEYS[3] {ns}:counts  KEYS[4] {ns}:langs
-- KEYS[5] {ns}:lines:<publisher>, where lines are given
-- ARGV[1] map: id, token, outcome, reason, fields (flat name, value list), lang ('' for none), ttl (s),
--         lines (of the publisher from now on, '' for none), lines_ttl (s)
-- return  the outcome that the entry has now: the given one, or the one that it had before; '' when the
--         result is late and it has none
--@include lease
local KEPT = {'feed', 'article', 'page', 'seen_at'}
local a = cmsgpack.unpack(ARGV[1])
local had = redis.call('HMGET', KEYS[1], 'outcome', 'stage')
if had[1] then return had[1] end
if not had[2] or is_late(KEYS[1], a.token) then return '' end
local settled = {'outcome', a.outcome, 'reason', a.reason, 'stage', 'done', unpack(a.fields)}
if a.outcome == 'attached' then
  -- Its article has the rest. Written anew, for Redis packs no hash again that had a long value.
  local kept = redis.call('HMGET', KEYS[1], unpack(KEPT))
  for i, name in ipairs(KEPT) do
    if kept[i] and kept[i] ~= '' then
      settled[#settled + 1] = name
      settled[#settled + 1] = kept[i]
    end
  end
  redis.call('DEL', KEYS[1])
else
  redis.call('HDEL', KEYS[1], 'summary', 'running', 'token', 'told', 'again', 'error', 'trace')
end
redis.call('HSET', KEYS[1], unpack(settled))
redis.call('EXPIRE', KEYS[1], a.ttl)
redis.call('ZREM', KEYS[2], a.id)
redis.call('HINCRBY', KEYS[3], a.outcome, 1)
if a.outcome == 'rejected' then redis.call('HINCRBY', KEYS[3], 'rejected:' .. a.reason, 1) end
if a.lines ~= '' then redis.call('SET', KEYS[5], a.lines, 'EX', a.lines_ttl) end
if a.lang ~= '' then redis.call('SADD', KEYS[4], a.lang) end
return a.outcome
