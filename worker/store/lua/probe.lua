-- The few articles and stories that share most buckets with an article. Reads only.
--
-- KEYS[1]  {ns:lang}:seq    every other key has the same prefix, so the same hash tag and slot
-- ARGV[1]  map: prefix, partitions (newest first), shards, bands, slots (5-byte buckets),
--               most_copies, most_stories (candidates)
-- return   msgpack of {seq,
--           {article id, story id, shingles, signature, published_at} ...,
--           {story id, version, size, first_at, last_at, exemplars} ...}
--
-- Cost: (bands + slots) x partitions HGETs and an HMGET a candidate, whatever the index holds. It
-- walks over at most (bands + slots) x partitions x cap ids, in practice some hundreds.
--@include buckets
local a = cmsgpack.unpack(ARGV[1])

-- The ids of most weight; of equals, the one met first (newest). Most ids fail the first
-- comparison, so keeping a short sorted list is several times cheaper than sorting all.
local function best(weights, order, limit)
  local chosen = {}
  for _, id in ipairs(order) do
    local weight, at = weights[id], #chosen
    if at < limit or weight > weights[chosen[at]] then
      if at == limit then chosen[at] = nil else at = at + 1 end
      while at > 1 and weight > weights[chosen[at - 1]] do
        chosen[at] = chosen[at - 1]
        at = at - 1
      end
      chosen[at] = id
    end
  end
  return chosen
end

local copies = {}
local _, weights, order = look_up(a.prefix, 'c', a.partitions, a.shards, a.bands, 8)
for _, raw in ipairs(best(weights, order, a.most_copies)) do
  local id = hex(raw)
  local f = redis.call('HMGET', a.prefix .. 'article:' .. id,
    'story', 'shingles', 'signature', 'published_at')
  if f[1] then copies[#copies + 1] = {id, f[1], f[2], f[3], f[4]} end
end

local stories = {}
_, weights, order = look_up(a.prefix, 's', a.partitions, a.shards, a.slots, 6)
for _, raw in ipairs(best(weights, order, a.most_stories)) do
  local id = a.lang .. '-' .. hex(raw)
  local f = redis.call('HMGET', a.prefix .. 'story:' .. id,
    'version', 'size', 'first_at', 'last_at', 'exemplars')
  if f[1] then stories[#stories + 1] = {id, f[1], f[2], f[3], f[4], f[5]} end
end

-- Packed: as nested replies, reading some hundred values would cost the client a millisecond.
return cmsgpack.pack({tonumber(redis.call('GET', KEYS[1]) or '0'), copies, stories})
