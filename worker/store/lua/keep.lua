-- Keep the leases of feeds that are being polled.
--
-- KEYS[1] {ns}:feeds
-- ARGV[1] map: leases ({feed id, token} ...), until, feed_prefix (same hash tag)
-- return  how many are still the caller's
local a = cmsgpack.unpack(ARGV[1])
local kept = 0
for _, lease in ipairs(a.leases) do
  if redis.call('HGET', a.feed_prefix .. lease[1], 'lease') == lease[2] then
    redis.call('ZADD', KEYS[1], 'XX', a['until'], lease[1])
    kept = kept + 1
  end
end
return kept
