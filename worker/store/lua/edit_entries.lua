-- Write what a feed says by now of entries that are no articles yet, and tell where the others went.
--
-- KEYS[1] {ns}:pending  KEYS[2..] {ns}:entry:<id> of each entry, in order
-- ARGV[1] map: now, entries ({id, title, url, source, summary, by_url} ...); by_url: the article id that
--         the address gives
-- return  for each {'attached', article, story}
--                  {'edited'}   it was written here: its article will be made of that
--                  {'same'}     nothing to do: no edit, unknown, a duplicate or rejected
--
-- Once its page is fetched an entry keeps the id of its article, which may be attached: by a worker that
-- died before it could say so. Its address stays one of the same publisher.
-- Cost: one command an entry, up to four more for an edited one.
local a = cmsgpack.unpack(ARGV[1])

local function edit(key, entry)
  local id, title, url, source, summary, by_url = unpack(entry)
  local f = redis.call('HMGET', key, 'stage', 'outcome', 'article', 'story', 'title', 'url', 'source',
    'running', 'edited_at')
  if f[2] == 'attached' then return {'attached', f[3], f[4] or ''} end
  if not f[1] or f[2] and f[2] ~= 'quarantined' then return {'same'} end
  if title == '' then title = f[5] end
  if url == '' or source ~= f[7] then url = f[6] end
  if title == f[5] and url == f[6] or tonumber(f[9] or '0') >= a.now then return {'same'} end
  if f[1] == 'work' then -- whoever has it in hand began with other words: let it be late
    redis.call('HDEL', key, 'token')
    if f[8] == '1' then
      redis.call('HSET', key, 'running', 0)
      redis.call('ZADD', KEYS[1], 'XX', a.now, id)
    end
  elseif url ~= f[6] then
    redis.call('HSET', key, 'article', by_url)
  end
  redis.call('HSET', key, 'title', title, 'url', url, 'summary', summary, 'edited_at', a.now)
  return {'edited'}
end

local answers = {}
for i, entry in ipairs(a.entries) do answers[i] = edit(KEYS[1 + i], entry) end
return answers
