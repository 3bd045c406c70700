-- Find entries that a feed is known to have listed but that the ledger has no record of; and let the
-- feed list them anew, if told to.
--
-- KEYS[1] {ns}:listed:<id>  KEYS[2] {ns}:feed:<id>  KEYS[3] {ns}:pending
-- KEYS[4..] {ns}:entry:<id> of each entry, in order
-- ARGV[1] map: ids, mend (boolean)
-- return  {id, 1 when it is pending all the same} ...
--
-- Cost: two commands an entry.
--@include listing
local a = cmsgpack.unpack(ARGV[1])
local found = {}
to_hash(KEYS[1])
for i, id in ipairs(a.ids) do
  if redis.call('EXISTS', KEYS[3 + i]) == 0 and redis.call('HEXISTS', KEYS[1], id) == 1 then
    found[#found + 1] = {id, redis.call('ZSCORE', KEYS[3], id) and 1 or 0}
    if a.mend then redis.call('HDEL', KEYS[1], id) end
  end
end
if a.mend and #found > 0 and redis.call('EXISTS', KEYS[2]) == 1 then
  -- Without validators the next answer is the whole feed. A poll that is under way was asked with
  -- them: without its lease it may not store them again.
  redis.call('HSET', KEYS[2], 'etag', '', 'last_modified', '')
  redis.call('HDEL', KEYS[2], 'lease')
end
return found
