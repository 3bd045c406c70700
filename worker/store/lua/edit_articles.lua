-- Write what feeds say of articles by now. Story, publisher and date stay: they are what was counted.
--
-- KEYS[1] {ns:lang}:seq    every other key has the same prefix, so the same hash tag and slot
-- ARGV[1] map: prefix, each (s: one event an article in each of these stretches of time),
--         edits ({article, entry, at (when its feed said so), updated (when it was changed, by its
--                publisher; 0 when he says nothing), title, url, source,
--                by_url (the article id that the address gives)} ...)
-- return  how many were edited
--
-- Twice: the second call finds what the first one wrote, and tells of nothing.
-- Cost: one command an article, up to six more for an edited one.
--@include records
--@include events
local a = cmsgpack.unpack(ARGV[1])

-- Let the address of now lead to an article, and no more the one before; the first one gave it its id.
-- Whoever lists it there is a duplicate. Where another article has that address already, it keeps it.
local function lead(article, key, id, by_url)
  if article[14] and article[14] ~= '' then redis.call('DEL', a.prefix .. 'article:' .. article[14]) end
  article[14] = ''
  if by_url == id then return end
  local left = math.max(redis.call('PTTL', key), 1)
  local is_free = redis.call('SET', a.prefix .. 'article:' .. by_url, cmsgpack.pack({id}), 'NX', 'PX', left)
  if is_free then article[14] = by_url end
end

local function edit(id, entry, at, updated, title, url, source, by_url)
  local key = a.prefix .. 'article:' .. id
  local article = read_record(key)
  -- Another entry that leads to it may be of any feed; only the one that brought it speaks for it.
  if not article or article[3] ~= entry then return 0 end
  local said_at = article[13] or article[6]
  if at <= said_at then return 0 end -- a later word is written already
  local had_url = article[10] == SAME_AS_REF and article[9] or article[10]
  if url == '' or source ~= article[4] then url = had_url end
  if title == '' then title = article[11] end
  if title == article[11] and url == had_url and updated <= said_at then return 0 end

  local story_key = a.prefix .. 'story:' .. article[1]
  local story = read_record(story_key)
  if story and story[8] == id and story[10] == article[11] then -- its headline is this one's
    story[10] = title
    redis.call('SET', story_key, cmsgpack.pack(story), 'KEEPTTL')
  end
  if url ~= had_url then lead(article, key, id, by_url) end
  article[10], article[11] = url == article[9] and SAME_AS_REF or url, title
  local is_told = article[13] and math.floor(article[13] / a.each) == math.floor(at / a.each)
  article[13], article[14] = at, article[14] or ''
  redis.call('SET', key, cmsgpack.pack(article), 'KEEPTTL')
  if not is_told then
    tell(a.prefix, 'type', 'article_edited', 'story', article[1], 'article', id, 'at', at)
  end
  return 1
end

local edited = 0
for _, one in ipairs(a.edits) do edited = edited + edit(unpack(one)) end
return edited
