-- Put the new entries of one feed response on the ledger and, only then, store the feed's
-- validators and next poll: a crash before this leaves both untouched, so no 304 can hide an entry.
--
-- KEYS[1] {ns}:counts  KEYS[2] {ns}:pending  KEYS[3] {ns}:feeds  KEYS[4] {ns}:feed:<id>
-- KEYS[5] {ns}:listed:<id>  KEYS[6] {ns}:moved  KEYS[7..] {ns}:entry:<id> of each entry, in order
-- ARGV[1]  map: now, lease, entries ({id, fields (flat), what the feed says of it} ...),
--            listed_all (false: keep the old list),
--            feed_id ('' for entries that no feed lists), token (of the lease to poll it), next_poll_at,
--            feed (flat name, value list), url (where it is asked from now on, or ''),
--            address (the id of that)
-- return   the ids that are new, in order
--
-- Twice: the second call finds every entry known and returns none; reconcile then finds them.
--@include leave
--@include listing
local a = cmsgpack.unpack(ARGV[1])
local new = {}
to_hash(KEYS[5])
for i, entry in ipairs(a.entries) do
  local key = KEYS[6 + i]
  local known = redis.call('EXISTS', key) == 1
    or redis.call('HEXISTS', KEYS[5], entry[1]) == 1
  if not known then
    redis.call('HSET', key, 'stage', 'fetch', 'attempts', 0, unpack(entry[2]))
    redis.call('ZADD', KEYS[2], a.now + a.lease, entry[1])
    new[#new + 1] = entry[1]
  end
end
if #new > 0 then redis.call('HINCRBY', KEYS[1], 'claimed', #new) end
if a.feed_id == '' then return new end

-- A slow poller whose lease was stolen must not overwrite newer validators. Its entries were claimed
-- above all the same: they are true, whoever saw them.
if redis.call('HGET', KEYS[4], 'lease') ~= a.token then return new end
redis.call('HDEL', KEYS[4], 'lease')
if a.listed_all then
  redis.call('DEL', KEYS[5])
  for _, entry in ipairs(a.entries) do redis.call('HSET', KEYS[5], entry[1], entry[3]) end
end
redis.call('HSET', KEYS[4], unpack(a.feed))
redis.call('ZADD', KEYS[3], a.next_poll_at, a.feed_id)

-- A feed that moved is asked there from now on, unless somebody has come to be followed there.
if a.url == '' or a.url == redis.call('HGET', KEYS[4], 'url') then return new end
local here = redis.call('HGET', KEYS[6], a.address) or a.address
if here ~= a.feed_id and redis.call('ZSCORE', KEYS[3], here) then return new end
leave(KEYS[4], KEYS[6], a.feed_id)
redis.call('HSET', KEYS[4], 'url', a.url, 'address', a.address)
redis.call('HSET', KEYS[6], a.address, a.feed_id)
return new
