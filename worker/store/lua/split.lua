-- Take articles out of a story, with the texts that copy them, as a story of their own.
--
-- KEYS[1]  {ns:lang}:seq    every other key has the same prefix, so the same hash tag and slot
-- ARGV[1]  map: prefix, story, version (as the decision saw it), opens, opens_raw (the new id),
--            moved (article ids), buckets (of each moved article, end to end),
--            stay, go (exemplars of both from now on), today, cap, now, ttl
-- return   1, or 0 when the story changed since, is too large or past its retention in part, or the
--          new id is taken; then nothing was written
--
-- Cost: four commands for each of the story's articles, of which there are at most MOST.
--@include records
--@include events
--@include pages
--@include insert
local MOST = 64 -- larger stories are left whole: most of their articles are too long past to be told apart
local a = cmsgpack.unpack(ARGV[1])
local prefix = a.prefix
local function key(name, id) return prefix .. name .. ':' .. id end

local story = read_record(key('story', a.story))
if not story or story[1] ~= a.version or story[2] > MOST or story[11] > 0 then return 0 end
if redis.call('EXISTS', key('story', a.opens)) == 1 then return 0 end
local goes, members = {}, redis.call('ZRANGE', key('members', a.story), 0, -1, 'WITHSCORES')
for _, id in ipairs(a.moved) do goes[id] = true end
local records = {}
for i = 1, #members, 2 do
  records[i] = read_record(key('article', members[i]))
  if not records[i] then return 0 end
end

local new = {1, 0, 0, math.huge, 0, a.go, a.now, '', '', '', 0}
redis.call('DEL', key('sources', a.story))
for i = 1, #members, 2 do
  local id, record, at = members[i], records[i], tonumber(members[i + 1])
  local root = record[2] ~= '' and record[2] or id
  local original = redis.call('GET', key('family', root)) or id
  local home = a.story
  if goes[root] then
    home = a.opens
    if record[2] ~= '' then new[3], story[3] = new[3] + 1, story[3] - 1 end
    if new[8] == '' and record[2] == '' then new[8], new[9], new[10] = id, record[4], record[11] end
    new[2], story[2] = new[2] + 1, story[2] - 1
    new[4], new[5] = math.min(new[4], at), math.max(new[5], at)
    record[1] = a.opens
    redis.call('SET', key('article', id), cmsgpack.pack(record), 'KEEPTTL')
    redis.call('ZREM', key('members', a.story), id)
    redis.call('ZADD', key('members', a.opens), at, id)
  end
  redis.call('HINCRBY', key('sources', home), record[4], original == id and 1 or 0)
end
story[1], story[6] = story[1] + 1, a.stay
redis.call('SET', key('story', a.story), cmsgpack.pack(story), 'EX', a.ttl)
redis.call('SET', key('story', a.opens), cmsgpack.pack(new), 'EX', a.ttl)
for _, id in ipairs({a.story, a.opens}) do
  redis.call('EXPIRE', key('members', id), a.ttl)
  redis.call('EXPIRE', key('sources', id), a.ttl)
end
redis.call('ZADD', prefix .. 'stories', a.now, a.opens)
for _, buckets in ipairs(a.buckets) do
  insert(prefix .. 's', buckets, a.opens_raw, a.cap, a.today)
end
tell(prefix, 'type', 'story_split', 'story', a.story, 'opened', a.opens, 'at', a.now)
return 1
