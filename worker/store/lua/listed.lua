-- Tell what a feed's last document said of its entries.
--
-- KEYS[1] {ns}:listed:<id>
-- ARGV[1] map, empty
-- return  {entry id, digest ('' when not known), ...}
--@include listing
to_hash(KEYS[1])
return redis.call('HGETALL', KEYS[1])
