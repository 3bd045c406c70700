-- Make one story of two: the smaller one's articles become members of the other, and its id stands
-- for the other from now on.
--
-- KEYS[1]  {ns:lang}:seq    every other key has the same prefix, so the same hash tag and slot
-- ARGV[1]  map: prefix, into, from (story ids), versions (of both, as the decision saw them),
--            exemplars (of the story from now on), bridge (the article that showed it), now, ttl
-- return   1, or 0 when a story changed since or is too large, and nothing was written
--
-- Cost: two commands for each of the smaller story's articles, of which there are at most MOST.
--@include records
--@include events
local MOST = 64 -- a larger story that turns out to be another one's part stays, as editors would leave it
local a = cmsgpack.unpack(ARGV[1])
local prefix = a.prefix
local function key(name, id) return prefix .. name .. ':' .. id end

local into, from = read_record(key('story', a.into)), read_record(key('story', a.from))
if not into or not from or into[1] ~= a.versions[1] or from[1] ~= a.versions[2] then return 0 end
if from[2] > MOST then return 0 end

open_lists(prefix, a.into, into)
open_lists(prefix, a.from, from)
local members = redis.call('ZRANGE', key('members', a.from), 0, -1, 'WITHSCORES')
for i = 1, #members, 2 do
  local article_key = key('article', members[i])
  local article = read_record(article_key)
  redis.call('ZADD', key('members', a.into), members[i + 1], members[i])
  if article then
    article[1] = a.into
    redis.call('SET', article_key, cmsgpack.pack(article), 'KEEPTTL')
  end
end
local sources = redis.call('HGETALL', key('sources', a.from))
for i = 1, #sources, 2 do
  redis.call('HINCRBY', key('sources', a.into), sources[i], sources[i + 1])
end
for _, name in ipairs({'members', 'sources'}) do
  redis.call('EXPIRE', key(name, a.into), a.ttl)
  redis.call('DEL', key(name, a.from))
end

into[1], into[2], into[3] = into[1] + 1, into[2] + from[2], into[3] + from[3]
into[4], into[5] = math.min(into[4], from[4]), math.max(into[5], from[5])
into[6], into[7], into[11] = a.exemplars, math.min(into[7], from[7]), into[11] + from[11]
redis.call('SET', key('story', a.into), cmsgpack.pack(into), 'EX', a.ttl)
redis.call('SET', key('story', a.from), cmsgpack.pack({a.into}), 'EX', a.ttl)
redis.call('ZREM', prefix .. 'stories', a.from)
redis.call('ZADD', prefix .. 'stories', a.now, a.into)
tell(prefix, 'type', 'stories_merged', 'story', a.into, 'merged', a.from, 'article', a.bridge, 'at', a.now)
return 1
