-- Take the turn at a host, so that no other poller asks it meanwhile, nor before its gap is over.
--
-- KEYS[1] {ns}:turn:<host>
-- ARGV[1] map: token, lease_ms (a poller that dies holds it for so long)
-- return  0 when it is taken; else after how many ms it is free, -1 while a request is under way
local a = cmsgpack.unpack(ARGV[1])
if redis.call('SET', KEYS[1], a.token, 'NX', 'PX', a.lease_ms) then return 0 end
if redis.call('GET', KEYS[1]) ~= '' then return -1 end
return math.max(redis.call('PTTL', KEYS[1]), 1)
