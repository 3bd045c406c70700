-- Give a turn at a host back; it is free when the gap is over.
--
-- KEYS[1] {ns}:turn:<host>
-- ARGV[1] map: token (of who has it), left_ms (of the gap; 0 when it is over)
-- return  1, or 0 when it was another one's by now
local a = cmsgpack.unpack(ARGV[1])
if redis.call('GET', KEYS[1]) ~= a.token then return 0 end
if a.left_ms > 0 then
  redis.call('SET', KEYS[1], '', 'PX', a.left_ms)
else
  redis.call('DEL', KEYS[1])
end
return 1
