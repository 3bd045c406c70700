-- Write a story's counts anew, as they were found by going through its articles, and take off its
-- list what is not its article. A story of which nothing is left goes.
--
-- KEYS[1] {ns:lang}:seq    every other key has the same prefix, so the same hash tag and slot
-- ARGV[1] map: prefix, story, version (as it was counted), ttl (s), drop (ids that are no articles of
--            it), size, copies, founder, source (the founder's), sources (flat publisher, own accounts;
--            none: the story has no lists), originals (flat root, original of families)
-- return   1, or 0 when the story or an article changed since; then nothing was written
--
-- Cost: a command for each id dropped and each family, and one for every thousand publishers.
--@include records
local CHUNK = 2000 -- values that one command is given; Lua can pass some 8 000
local a = cmsgpack.unpack(ARGV[1])
local function key(name, id) return a.prefix .. name .. ':' .. id end
local story = read_record(key('story', a.story))
if not story or #story == 1 or story[1] ~= a.version then return 0 end
for _, id in ipairs(a.drop) do
  local article = read_record(key('article', id))
  if article and article[1] == a.story then return 0 end
end

for _, id in ipairs(a.drop) do redis.call('ZREM', key('members', a.story), id) end
if a.size == 0 then
  redis.call('DEL', key('story', a.story), key('members', a.story), key('sources', a.story))
  redis.call('ZREM', a.prefix .. 'stories', a.story)
  return 1
end
if #a.sources > 0 then
  redis.call('DEL', key('sources', a.story))
  for at = 1, #a.sources, CHUNK do
    local to = math.min(at + CHUNK - 1, #a.sources)
    redis.call('HSET', key('sources', a.story), unpack(a.sources, at, to))
  end
  redis.call('EXPIRE', key('sources', a.story), a.ttl)
  redis.call('EXPIRE', key('members', a.story), a.ttl)
end
for i = 1, #a.originals, 2 do
  redis.call('SET', key('family', a.originals[i]), a.originals[i + 1], 'EX', a.ttl)
end
story[1], story[2], story[3] = story[1] + 1, a.size, a.copies
story[8], story[9] = a.founder, a.source
redis.call('SET', key('story', a.story), cmsgpack.pack(story), 'EX', a.ttl)
return 1
