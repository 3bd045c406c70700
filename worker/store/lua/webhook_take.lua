-- Take a webhook in hand, so that no other deliverer sends to it, or go on having it.
--
-- KEYS[1] {ns}:webhook:<id>  KEYS[2] {ns}:delivering:<id>
-- ARGV[1] map: token (of the deliverer), lease_ms
-- return  the fields of the webhook, flat; nothing when another one has it or it was removed
local a = cmsgpack.unpack(ARGV[1])
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= a.token then return {} end
local fields = redis.call('HGETALL', KEYS[1])
if #fields > 0 then redis.call('SET', KEYS[2], a.token, 'PX', a.lease_ms) end
return fields
