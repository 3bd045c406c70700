-- End the leases of entries that a worker cannot finish, so that reconcile takes them up at once.
--
-- KEYS[1] {ns}:pending  KEYS[2..] {ns}:entry:<id> of each entry, in order
-- ARGV[1] map: now, lease (s), ids, back_off (s): what was being worked on waits so long after its first
--            attempt, and twice as long after each further one, but no longer than a lease, after which
--            it would have been taken up anyway; 0 for no time
-- return  how many leases ended
--
-- What waits for its next attempt for longer than a lease goes on waiting.
local a = cmsgpack.unpack(ARGV[1])
local ended = 0
for i, id in ipairs(a.ids) do
  local due = tonumber(redis.call('ZSCORE', KEYS[1], id) or 'inf')
  if due > a.now and due <= a.now + a.lease then
    local f = redis.call('HMGET', KEYS[1 + i], 'running', 'attempts')
    local wait = f[1] == '1' and math.min(a.back_off * 2 ^ (tonumber(f[2]) - 1), a.lease) or 0
    redis.call('HSET', KEYS[1 + i], 'running', 0)
    redis.call('ZADD', KEYS[1], a.now + wait, id)
    ended = ended + 1
  end
end
return ended
