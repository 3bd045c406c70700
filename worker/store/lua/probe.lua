-- The few articles and stories that share most buckets with an article. Reads only, unless the answer is
-- to be kept.
--
-- KEYS[1]  {ns:lang}:seq    every other key has the same prefix, so the same hash tag and slot
-- ARGV[1]  map: prefix, lang, today (stamp of now), bands, slots (4-byte bucket hashes, end to end),
--               text_width (bytes of a text record), most_copies, most_stories (candidates),
--               keep ('', or the article that asks: asked again before any other, it is told the same,
--               whatever it has changed itself)
-- return   msgpack of {seq, ids read,
--           {text record (article id, shingles, published, parities), story} ...,
--           {story, story record} ...}
--
-- Cost: two commands a level, two a copy candidate and one for all stories, whatever the index
-- holds. It walks over at most (bands + slots) x cap ids, in practice some hundreds.
--@include records
--@include pages
--@include texts
local a = cmsgpack.unpack(ARGV[1])
local kept_key = a.prefix .. 'probed'
if a.keep ~= '' then
  local kept = redis.call('HMGET', kept_key, 'article', 'answer')
  if kept[1] == a.keep then return kept[2] end
end

-- The ids of most weight; of equals, the one met first (newest). Most ids fail the first
-- comparison, so keeping a short sorted list is several times cheaper than sorting all.
local function best(weights, order, limit)
  local chosen = {}
  local least = -1 -- the weight that must be passed once the list is full
  for i = 1, #order do
    local id = order[i]
    local weight = weights[id]
    if weight > least then
      local at = math.min(#chosen + 1, limit)
      while at > 1 and weight > weights[chosen[at - 1]] do
        chosen[at] = chosen[at - 1]
        at = at - 1
      end
      chosen[at] = id
      if #chosen == limit then least = weights[chosen[limit]] end
    end
  end
  return chosen
end

local copies = {}
local weights, order, read = look_up(a.prefix .. 'c', a.bands, a.today, HEAD + 4)
for _, id in ipairs(best(weights, order, a.most_copies)) do
  local text = read_text(a.prefix, struct.unpack('>I4', id), a.text_width)
  local record = text ~= '' and redis.call('GET', a.prefix .. 'article:' .. hex(string.sub(text, 1, 8)))
  if record then copies[#copies + 1] = {text, cmsgpack.unpack(record)[1]} end
end

local read_too
weights, order, read_too = look_up(a.prefix .. 's', a.slots, a.today, HEAD + 6)
local ids, keys, stories, seen = {}, {}, {}, {}
for i, raw in ipairs(best(weights, order, a.most_stories)) do
  ids[i] = a.lang .. '-' .. hex(raw)
  keys[i] = a.prefix .. 'story:' .. ids[i]
end
for i, found in ipairs(#keys > 0 and redis.call('MGET', unpack(keys)) or {}) do
  local id, record = follow(a.prefix, ids[i], found)
  if record and not seen[id] then
    seen[id] = true
    stories[#stories + 1] = {id, record}
  end
end

-- Packed: as nested replies, reading some hundred values would cost the client a millisecond.
local answer = cmsgpack.pack({
  tonumber(redis.call('GET', KEYS[1]) or '0'), read + read_too, copies, stories,
})
if a.keep ~= '' then redis.call('HSET', kept_key, 'article', a.keep, 'answer', answer) end
return answer
