-- Begin one stage of an entry's trip: take its lease and count the attempt.
--
-- KEYS[1] {ns}:entry:<id>  KEYS[2] {ns}:pending  KEYS[3] {ns}:counts  KEYS[4] {ns}:quarantine
-- ARGV[1] map: id, stage ('fetch' or 'work'), now, lease, attempts (most), token (of this lease)
-- return  {'started', attempt, name, value, ...}  go on
--         {'busy'}          somebody else holds the lease of this stage
--         {'other'}         settled, unknown, or in another stage: nothing to do
--         {'quarantined'}   it failed too often and was given up now
--
-- Twice: the second call, with the same token, finds its own lease and counts no other attempt.
--@include quarantine
local a = cmsgpack.unpack(ARGV[1])
local f = redis.call('HMGET', KEYS[1], 'stage', 'outcome', 'attempts', 'running', 'error', 'token')
if f[2] or f[1] ~= a.stage then return {'other'} end
local attempt = tonumber(f[3])
if f[6] ~= a.token then
  local lease = tonumber(redis.call('ZSCORE', KEYS[2], a.id) or '0')
  if f[4] == '1' and lease > a.now then return {'busy'} end
  attempt = attempt + 1
  if attempt > a.attempts then
    local told = f[5] and f[5] ~= ''
    quarantine(KEYS, a.id, a.now, told and f[5] or 'its worker died every time')
    return {'quarantined'}
  end
end
redis.call('HSET', KEYS[1], 'attempts', attempt, 'running', 1, 'token', a.token)
redis.call('ZADD', KEYS[2], a.now + a.lease, a.id)
return {'started', attempt, unpack(redis.call('HGETALL', KEYS[1]))}
