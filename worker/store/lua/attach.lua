-- Make an article a member of a story, and let later articles find it. All or nothing, once.
--
-- KEYS[1]  {ns:lang}:seq    every other key has the same prefix, so the same hash tag and slot
-- ARGV[1]  map: prefix, lang, seq (of the probe), now, ttl (retention, s), published_at, at (event clock),
--            article, article_raw, record (list, from `entry` on), source, title,
--            story, story_raw, version (of the probe; 0 opens the story, -1 takes any),
--            exemplars ('' leaves them),
--            copy_of ('' or the id of the article that this one copies),
--            text (what the copy level keeps of the article),
--            today (stamp of now), index_ttl (s), df_part (part of the document frequencies), df_ttl,
--            cap, min_hits, bands, slots (bucket hashes, end to end), df (offsets for BITFIELD, '#n')
-- return   {'attached', original}  done; `original` is the id of the text published first, or ''
--          {'known', story, entry, original}  this article is a member already, claimed as `entry`
--          {'conflict'}            the index changed since the probe in a way that may matter
--          {'taken'}               another story has this new id: choose another one
--
-- Two workers can never open two stories for one event: an attach is only accepted when no article
-- that shares enough buckets with this one came in since its probe, as if one worker had done both.
--@include records
--@include events
--@include pages
--@include insert
--@include texts
local RECENT = 512         -- attaches remembered for that check; older probes must be repeated
local TRIM = 16            -- expired stories taken off the list at most by one attach
local FORGET = 2           -- expired articles taken off a story's list by one attach: more than come
local a = cmsgpack.unpack(ARGV[1])
local prefix = a.prefix
local article_key = prefix .. 'article:' .. a.article
local story_key = prefix .. 'story:' .. a.story
local recent_key = prefix .. 'recent'

local known = read_record(article_key)
if known and #known == 1 then known = read_record(prefix .. 'article:' .. known[1]) end -- an alias
if known then
  local original = known[2] ~= '' and redis.call('GET', prefix .. 'family:' .. known[2]) or ''
  return {'known', known[1], known[3], original ~= a.article and original or ''}
end

-- Who came since the probe?
local seq = tonumber(redis.call('GET', KEYS[1]) or '0')
if seq > a.seq then
  local since = redis.call('ZRANGEBYSCORE', recent_key, '(' .. a.seq, '+inf')
  if #since < seq - a.seq then return {'conflict'} end
  local new_articles, new_stories, hits = {}, {}, {}
  for _, member in ipairs(since) do
    new_stories[string.sub(member, 1, 6)] = true
    new_articles[string.sub(member, 7)] = true
  end
  local _, order = look_up(prefix .. 'c', a.bands, a.today, HEAD + 4)
  for _, id in ipairs(order) do
    if new_articles[id] then return {'conflict'} end
  end
  _, order = look_up(prefix .. 's', a.slots, a.today, HEAD + 6, hits)
  for _, id in ipairs(order) do
    if new_stories[id] and hits[id] >= a.min_hits then return {'conflict'} end
  end
end

local opens = a.version == 0
local story = read_record(story_key)
if opens then
  if story then return {'taken'} end
  story = {0, 0, 0, a.at, a.at, '', a.now, a.article, a.source, a.title, 0}
elseif not story or #story == 1 or (a.version >= 0 and story[1] ~= a.version) then
  return {'conflict'}
end
local function read_article(id) return read_record(prefix .. 'article:' .. id) end
local copied = a.copy_of ~= '' and read_article(a.copy_of)
-- It expired since the probe, or a split took it to another story: a family has one story.
if a.copy_of ~= '' and (not copied or copied[1] ~= a.story) then return {'conflict'} end

-- From here on only writes.
seq = seq + 1
redis.call('SET', KEYS[1], seq)

-- A family is the texts that copy each other: its root is the one that came first, its original
-- the one that was published first, so that the order of arrival does not decide who reprints whom.
local sources_key, members_key = prefix .. 'sources:' .. a.story, prefix .. 'members:' .. a.story
local function count_own(source, own)
  redis.call('HINCRBY', sources_key, source, own)
end

open_lists(prefix, a.story, story)
local root, original, own = '', '', 1
if copied then
  root = copied[2] ~= '' and copied[2] or a.copy_of
  local family_key = prefix .. 'family:' .. root
  original = redis.call('GET', family_key) or root
  local first = read_article(original)
  if first and a.published_at < first[5] then
    count_own(first[4], -1)
    original = a.article
  else
    own = 0
  end
  redis.call('SET', family_key, original, 'EX', a.ttl)
  if root == a.article then root = '' end -- the family's first comes again, after it was lost
end
if story[2] > 0 then
  count_own(a.source, own)
  redis.call('ZADD', members_key, a.published_at, a.article)
  redis.call('EXPIRE', sources_key, a.ttl)
  redis.call('EXPIRE', members_key, a.ttl)
end
redis.call('SET', article_key, cmsgpack.pack({a.story, root, unpack(a.record)}), 'EX', a.ttl)

story[1], story[2] = story[1] + 1, story[2] + 1
if root ~= '' then story[3] = story[3] + 1 end
story[4], story[5] = math.min(story[4], a.at), math.max(story[5], a.at)
if a.exemplars ~= '' then story[6] = a.exemplars end
if a.now - story[7] > a.ttl then -- a story that outlives its articles
  for _, id in ipairs(redis.call('ZRANGE', members_key, 0, FORGET - 1)) do
    if redis.call('EXISTS', prefix .. 'article:' .. id) == 0 then
      redis.call('ZREM', members_key, id)
      story[11] = story[11] + 1
    end
  end
end
redis.call('SET', story_key, cmsgpack.pack(story), 'EX', a.ttl)
redis.call('ZADD', prefix .. 'stories', a.now, a.story)
local expired = redis.call('ZRANGEBYSCORE', prefix .. 'stories', '-inf', a.now - a.ttl,
  'LIMIT', 0, TRIM)
if #expired > 0 then redis.call('ZREM', prefix .. 'stories', unpack(expired)) end

-- The index.
local number = struct.pack('>I4', seq)
keep_text(prefix, seq, a.text, a.index_ttl)
insert(prefix .. 'c', a.bands, number, a.cap, a.today)
insert(prefix .. 's', a.slots, a.story_raw, a.cap, a.today)
local df, docs = prefix .. 'df:' .. a.df_part, prefix .. 'docs:' .. a.df_part
redis.call('INCR', docs)
if #a.df > 0 then
  local ops = {'OVERFLOW', 'SAT'}
  for i, bucket in ipairs(a.df) do -- strings all: Redis prints numbers slowly
    ops[4 * i - 1], ops[4 * i], ops[4 * i + 1], ops[4 * i + 2] = 'INCRBY', 'u16', bucket, '1'
  end
  redis.call('BITFIELD', df, unpack(ops))
end
redis.call('EXPIRE', df, a.df_ttl)
redis.call('EXPIRE', docs, a.df_ttl)
redis.call('EXPIRE', prefix .. 'c', a.index_ttl)
redis.call('EXPIRE', prefix .. 's', a.index_ttl)

redis.call('ZADD', recent_key, seq, a.story_raw .. number)
redis.call('ZREMRANGEBYRANK', recent_key, 0, -RECENT - 1)
tell(prefix, 'type', opens and 'story_opened' or 'article_attached', 'story', a.story,
  'article', a.article, 'original', original, 'at', a.now)
for _, name in ipairs({'stories', 'recent', 'events'}) do
  redis.call('EXPIRE', prefix .. name, a.ttl)
end
return {'attached', original ~= a.article and original or ''}
