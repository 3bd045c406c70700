-- Write what came of sending to a webhook, by the deliverer that has it in hand.
--
-- KEYS[1] {ns}:webhook:<id>  KEYS[2] {ns}:delivering:<id>  KEYS[3] {ns}:parked:<id>
-- ARGV[1] map: token, lease_ms, turn (of the webhook, as the deliverer knows it),
--           fields (flat name, value list), delivered and missed (to add),
--           again (1: it was the first of the parked events), park (an event to park, or '')
-- return  1, or 0 when another deliverer has it by now or it was removed, and nothing was written
--
-- Each settling is a turn, and notes whose it was, so that a call that is sent twice counts once. A
-- lease that ran out but was taken by nobody is still good: the turn is the same.
local MOST_PARKED = 1000
local a = cmsgpack.unpack(ARGV[1])
local turn = tonumber(redis.call('HGET', KEYS[1], 'turn'))
local holder = redis.call('GET', KEYS[2])
if not turn or (holder and holder ~= a.token) then return 0 end
if turn == a.turn + 1 and redis.call('HGET', KEYS[1], 'by') == a.token then return 1 end
if turn ~= a.turn then return 0 end

local missed = a.missed
redis.call('HSET', KEYS[1], 'turn', turn + 1, 'by', a.token, unpack(a.fields))
redis.call('HINCRBY', KEYS[1], 'delivered', a.delivered)
if a.again == 1 then
  redis.call('LPOP', KEYS[3])
  redis.call('HINCRBY', KEYS[1], 'again', -1)
end
if a.park ~= '' and redis.call('RPUSH', KEYS[3], a.park) > MOST_PARKED then
  redis.call('LPOP', KEYS[3])
  missed = missed + 1
  if tonumber(redis.call('HGET', KEYS[1], 'again')) > 0 then
    redis.call('HINCRBY', KEYS[1], 'again', -1)
  end
end
redis.call('HINCRBY', KEYS[1], 'missed', missed)
redis.call('SET', KEYS[2], a.token, 'PX', a.lease_ms)
return 1
