-- Look whether each article is a member of the story that it names; and make it one, if told to.
--
-- KEYS[1] {ns:lang}:seq    every other key has the same prefix, so the same hash tag and slot
-- ARGV[1] map: prefix, ids, mend (boolean), now, ttl (s)
-- return  {kind of flaw, id, story, 1 when it was mended} ...
--
-- Cost: five commands an article. What a mend leaves to be counted, right_story counts. An article in
-- its last second is passed over: older servers may let its story's lists go a moment before it.
--@include records
local a = cmsgpack.unpack(ARGV[1])
local prefix = a.prefix
local flaws = {}
local function key(name, id) return prefix .. name .. ':' .. id end

local function unpacked(raw)
  local whole, record = pcall(cmsgpack.unpack, raw)
  return whole and type(record) == 'table' and record
end

-- Make an article a member of a story that is there.
local function enlist(article_id, article, id, story)
  if redis.call('EXISTS', key('members', id)) == 0 then open_lists(prefix, id, story) end
  redis.call('ZADD', key('members', id), article[5], article_id)
  story[1] = story[1] + 1
  redis.call('SET', key('story', id), cmsgpack.pack(story), 'EX', a.ttl)
  for _, name in ipairs({'members', 'sources'}) do redis.call('EXPIRE', key(name, id), a.ttl) end
end

-- Open a story again whose record is gone. What it was compared by is gone too.
local function reopen(article_id, article, id)
  local at, is_copy = article[6], article[2] ~= ''
  local story = {1, 1, is_copy and 1 or 0, at, at, '', a.now, article_id, article[4], article[11], 0}
  redis.call('SET', key('story', id), cmsgpack.pack(story), 'EX', a.ttl)
  redis.call('ZADD', key('members', id), article[5], article_id)
  redis.call('HSET', key('sources', id), article[4], is_copy and 0 or 1)
  for _, name in ipairs({'members', 'sources'}) do redis.call('EXPIRE', key(name, id), a.ttl) end
  redis.call('ZADD', prefix .. 'stories', at, id)
end

for _, article_id in ipairs(a.ids) do
  local left = redis.call('PTTL', key('article', article_id))
  local raw = (left < 0 or left > 1000) and redis.call('GET', key('article', article_id))
  local article = raw and unpacked(raw)
  if article and #article == 1 then
    raw, article = nil, nil -- an alias, which ends with its article
  elseif article and ((#article ~= 12 and #article ~= 14) or type(article[1]) ~= 'string') then
    article = nil
  end
  local id = article and article[1]
  local story_raw = article and redis.call('GET', key('story', id))
  local story = story_raw and unpacked(story_raw)
  if raw and not article then
    flaws[#flaws + 1] = {'article_torn', article_id, key('article', article_id), 0}
  elseif article and not story_raw then
    flaws[#flaws + 1] = {'story_gone', article_id, id, a.mend and 1 or 0}
    if a.mend then reopen(article_id, article, id) end
  elseif story and #story == 1 then
    local hops = 1
    while story and #story == 1 and hops < HOPS do
      id, hops = story[1], hops + 1
      story = read_record(key('story', id))
    end
    local leads = story and #story > 1
    flaws[#flaws + 1] = {'story_merged', article_id, article[1], a.mend and leads and 1 or 0}
    if a.mend and leads then
      article[1] = id
      redis.call('SET', key('article', article_id), cmsgpack.pack(article), 'KEEPTTL')
      enlist(article_id, article, id, story)
    end
  elseif story and not redis.call('ZSCORE', key('members', id), article_id)
    -- A story of a single article has no list.
    and not (story[2] == 1 and story[8] == article_id and redis.call('EXISTS', key('members', id)) == 0)
  then
    flaws[#flaws + 1] = {'not_listed', article_id, id, a.mend and 1 or 0}
    if a.mend then enlist(article_id, article, id, story) end
  end
end
return flaws
