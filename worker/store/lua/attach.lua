-- Make an article a member of a story, and let later articles find it. All or nothing, once.
--
-- KEYS[1]  {ns:lang}:seq    every other key has the same prefix, so the same hash tag and slot
-- ARGV[1]  map: prefix, lang, seq (of the probe), now, ttl (retention, s), published_at, at (event clock),
--            article, article_raw, fields (flat name, value list), source, title,
--            story, story_raw, version (of the probe; 0 opens the story, -1 takes any),
--            exemplars ('' leaves them),
--            copy_of ('' or the id of the article that this one copies),
--            partition, partition_ttl, shards, cap, min_hits, bands, slots, df (bucket numbers)
-- return   {'attached', original}  done; `original` is the id of the text published first, or ''
--          {'known', story, entry} this article is a member already, claimed as `entry`
--          {'conflict'}            the index changed since the probe in a way that may matter
--          {'taken'}               another story has this new id: choose another one
--
-- Two workers can never open two stories for one event: an attach is only accepted when no article
-- that shares enough buckets with this one came in since its probe, as if one worker had done both.
--@include buckets
local RECENT = 512         -- attaches remembered for that check; older probes must be repeated
local MAX_EVENTS = 100000
local TRIM = 16            -- expired stories taken off the list at most by one attach
local a = cmsgpack.unpack(ARGV[1])
local prefix = a.prefix
local article_key = prefix .. 'article:' .. a.article
local story_key = prefix .. 'story:' .. a.story
local recent_key = prefix .. 'recent'

local known = redis.call('HMGET', article_key, 'story', 'entry')
if known[1] then return {'known', known[1], known[2] or ''} end

-- Who came since the probe?
local seq = tonumber(redis.call('GET', KEYS[1]) or '0')
if seq > a.seq then
  local since = redis.call('ZRANGEBYSCORE', recent_key, '(' .. a.seq, '+inf')
  if #since < seq - a.seq then return {'conflict'} end
  local new_articles, new_stories = {}, {}
  for _, member in ipairs(since) do
    new_articles[string.sub(member, 1, 8)] = true
    new_stories[string.sub(member, 9, 14)] = true
  end
  -- A rival of a moment ago may have written to the partition before, if one began just now.
  local lately = {a.partition, a.partition - 1}
  local hits, _, order = look_up(prefix, 'c', lately, a.shards, a.bands, 8)
  for _, id in ipairs(order) do
    if new_articles[id] then return {'conflict'} end
  end
  hits, _, order = look_up(prefix, 's', lately, a.shards, a.slots, 6)
  for _, id in ipairs(order) do
    if new_stories[id] and hits[id] >= a.min_hits then return {'conflict'} end
  end
end

local opens = a.version == 0
if opens then
  if redis.call('EXISTS', story_key) == 1 then return {'taken'} end
else
  local version = tonumber(redis.call('HGET', story_key, 'version'))
  if not version or (a.version >= 0 and version ~= a.version) then return {'conflict'} end
end
local copied = nil
if a.copy_of ~= '' then
  copied = redis.call('HMGET', prefix .. 'article:' .. a.copy_of, 'root', 'source')
  if not copied[2] then return {'conflict'} end -- it expired since the probe
end

-- From here on only writes.
seq = seq + 1
redis.call('SET', KEYS[1], seq)

-- A family is the texts that copy each other: its root is the one that came first, its original
-- the one that was published first, so that the order of arrival does not decide who reprints whom.
local sources_key = prefix .. 'sources:' .. a.story
local root, original, own = '', '', 1
if copied then
  root = copied[1] ~= '' and copied[1] or a.copy_of
  local family_key = prefix .. 'family:' .. root
  original = redis.call('GET', family_key) or root
  local first = redis.call('HMGET', prefix .. 'article:' .. original, 'published_at', 'source')
  if first[1] and a.published_at < tonumber(first[1]) then
    redis.call('HINCRBY', sources_key, first[2], -1)
    original = a.article
  else
    own = 0
  end
  redis.call('SET', family_key, original, 'EX', a.ttl)
end
redis.call('HINCRBY', sources_key, a.source, own)
redis.call('EXPIRE', sources_key, a.ttl)

redis.call('HSET', article_key, 'story', a.story, 'root', root, unpack(a.fields))
redis.call('EXPIRE', article_key, a.ttl)
redis.call('ZADD', prefix .. 'members:' .. a.story, a.published_at, a.article)
redis.call('EXPIRE', prefix .. 'members:' .. a.story, a.ttl)

if opens then
  redis.call('HSET', story_key, 'founder', a.article, 'title', a.title, 'opened_at', a.now,
    'first_at', a.at, 'last_at', a.at, 'copies', 0)
else
  local times = redis.call('HMGET', story_key, 'first_at', 'last_at')
  redis.call('HSET', story_key, 'first_at', math.min(tonumber(times[1]), a.at),
    'last_at', math.max(tonumber(times[2]), a.at))
  if copied then redis.call('HINCRBY', story_key, 'copies', 1) end
end
if a.exemplars ~= '' then redis.call('HSET', story_key, 'exemplars', a.exemplars) end
redis.call('HINCRBY', story_key, 'size', 1)
redis.call('HINCRBY', story_key, 'version', 1)
redis.call('EXPIRE', story_key, a.ttl)
redis.call('ZADD', prefix .. 'stories', a.now, a.story)
redis.call('EXPIRE', prefix .. 'stories', a.ttl)
local expired = redis.call('ZRANGEBYSCORE', prefix .. 'stories', '-inf', a.now - a.ttl,
  'LIMIT', 0, TRIM)
if #expired > 0 then redis.call('ZREM', prefix .. 'stories', unpack(expired)) end

-- Return a bucket with an id at its head: no repeats, at most `cap` ids.
local function with_head(ids, id)
  local width = #id
  if not string.find(ids, id, 1, true) then
    return id .. string.sub(ids, 1, (a.cap - 1) * width)
  end
  local kept = {id}
  for i = 1, #ids, width do
    local other = string.sub(ids, i, i + width - 1)
    if other ~= id and #kept < a.cap then kept[#kept + 1] = other end
  end
  return table.concat(kept)
end

local function put(level, buckets, id)
  local shard_order, fields = by_shard(a.shards, buckets)
  local base = prefix .. level .. ':' .. a.partition .. ':'
  for _, shard in ipairs(shard_order) do
    local key, changed = base .. shard, {}
    local found = redis.call('HMGET', key, unpack(fields[shard]))
    for i, bucket in ipairs(fields[shard]) do
      local ids = found[i] or ''
      if string.sub(ids, 1, #id) ~= id then
        changed[#changed + 1] = bucket
        changed[#changed + 1] = with_head(ids, id)
      end
    end
    if #changed > 0 and redis.call('HSET', key, unpack(changed)) == redis.call('HLEN', key) then
      redis.call('EXPIRE', key, a.partition_ttl) -- all its fields are new, so is the key
    end
  end
end
put('c', a.bands, a.article_raw)
put('s', a.slots, a.story_raw)

local df_key, docs_key = prefix .. 'df:' .. a.partition, prefix .. 'docs:' .. a.partition
if #a.df > 0 then
  local ops = {'OVERFLOW', 'SAT'}
  for _, bucket in ipairs(a.df) do
    ops[#ops + 1] = 'INCRBY'
    ops[#ops + 1] = 'u16'
    ops[#ops + 1] = '#' .. bucket
    ops[#ops + 1] = '1'
  end
  redis.call('BITFIELD', df_key, unpack(ops))
end
if redis.call('INCR', docs_key) == 1 then
  redis.call('EXPIRE', docs_key, a.partition_ttl)
  redis.call('EXPIRE', df_key, a.partition_ttl)
end

redis.call('ZADD', recent_key, seq, a.article_raw .. a.story_raw)
redis.call('ZREMRANGEBYRANK', recent_key, 0, -RECENT - 1)
redis.call('EXPIRE', recent_key, a.ttl)
redis.call('XADD', prefix .. 'events', 'MAXLEN', '~', MAX_EVENTS, '*',
  'type', opens and 'story_opened' or 'article_attached', 'story', a.story, 'article', a.article,
  'original', original, 'at', a.now)
redis.call('EXPIRE', prefix .. 'events', a.ttl)
return {'attached', original ~= a.article and original or ''}
