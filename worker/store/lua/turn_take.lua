-- Take the turn at a host, so that no other poller asks it meanwhile, nor before its gap is over; or
-- go on having it.
--
-- KEYS[1] {ns}:turn:<host>
-- ARGV[1] map: token (of the request), lease_ms (a poller that dies holds it for so long)
-- return  0 when it is taken; else after how many ms it is free, -1 while a request is under way
local a = cmsgpack.unpack(ARGV[1])
local holder = redis.call('GET', KEYS[1])
if not holder or holder == a.token then
  redis.call('SET', KEYS[1], a.token, 'PX', a.lease_ms)
  return 0
end
return holder == '' and math.max(redis.call('PTTL', KEYS[1]), 1) or -1
