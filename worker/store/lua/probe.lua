-- The few articles and stories that share most buckets with an article. Reads only.
--
-- KEYS[1]  {ns:lang}:seq    every other key has the same prefix, so the same hash tag and slot
-- ARGV[1]  map: prefix, partitions (newest first), shards, bands, slots (5-byte buckets),
--               limit (most candidates a level), min_hits (story buckets that must be shared)
-- return   {seq,
--           {article id, story id, shingles, signature, published_at} ...,
--           {story id, version, hits, size, first_at, last_at, exemplars} ...}
--
-- Cost: (bands + slots) x partitions HGETs and 2 x limit HMGETs, whatever the index holds.
--@include buckets
local a = cmsgpack.unpack(ARGV[1])

-- The ids with most hits; of equals, the one met first (newest). A counting sort: hits are few.
local function best(hits, order, min_hits, limit, most)
  local by_hits = {}
  for _, id in ipairs(order) do
    local n = math.min(hits[id], most)
    if n >= min_hits then
      by_hits[n] = by_hits[n] or {}
      by_hits[n][#by_hits[n] + 1] = id
    end
  end
  local chosen = {}
  for n = most, min_hits, -1 do
    for _, id in ipairs(by_hits[n] or {}) do
      if #chosen == limit then return chosen end
      chosen[#chosen + 1] = id
    end
  end
  return chosen
end

local copies = {}
local hits, order = count_hits(a.prefix, 'c', a.partitions, a.shards, a.bands, 8)
for _, raw in ipairs(best(hits, order, 1, a.limit, #a.bands)) do
  local id = hex(raw)
  local f = redis.call('HMGET', a.prefix .. 'article:' .. id,
    'story', 'shingles', 'signature', 'published_at')
  if f[1] then copies[#copies + 1] = {id, f[1], f[2], f[3], f[4]} end
end

local stories = {}
hits, order = count_hits(a.prefix, 's', a.partitions, a.shards, a.slots, 6)
for _, raw in ipairs(best(hits, order, a.min_hits, a.limit, #a.slots)) do
  local id = a.lang .. '-' .. hex(raw)
  local f = redis.call('HMGET', a.prefix .. 'story:' .. id,
    'version', 'size', 'first_at', 'last_at', 'exemplars')
  if f[1] then stories[#stories + 1] = {id, f[1], hits[raw], f[2], f[3], f[4], f[5]} end
end

return {tonumber(redis.call('GET', KEYS[1]) or '0'), copies, stories}
