-- Let other deliverers take a webhook at once.
--
-- KEYS[1] {ns}:delivering:<id>
-- ARGV[1] map: token (of the deliverer that has it)
-- return  1, or 0 when it is another one's by now
local a = cmsgpack.unpack(ARGV[1])
return redis.call('GET', KEYS[1]) == a.token and redis.call('DEL', KEYS[1]) or 0
