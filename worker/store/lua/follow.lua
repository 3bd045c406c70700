-- Follow a feed, unless it is followed already, at this address or as one that moved here.
--
-- KEYS[1] {ns}:feeds  KEYS[2] {ns}:feed:<id>  KEYS[3] {ns}:moved
-- ARGV[1] map: feed_id (the address's), url, title ('' for none), next_poll_at
-- return  1 when it is new, else 0
local a = cmsgpack.unpack(ARGV[1])
local here = redis.call('HGET', KEYS[3], a.feed_id)
if here and redis.call('ZSCORE', KEYS[1], here) then return 0 end
local is_new = redis.call('HSETNX', KEYS[2], 'url', a.url)
if a.title ~= '' then redis.call('HSETNX', KEYS[2], 'title', a.title) end
redis.call('ZADD', KEYS[1], 'NX', a.next_poll_at, a.feed_id)
return is_new
