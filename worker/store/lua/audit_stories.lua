-- Look whether the list of stories shows those that are there, and no others; and correct it, if told
-- to.
--
-- KEYS[1] {ns:lang}:stories    every other key has the same prefix, so the same hash tag and slot
-- ARGV[1] map: prefix, ids, mend (boolean), ttl (retention, s), slack (s)
-- return  {{kind of flaw, id} ..., the ids that stand for another story, those of torn records}
--
-- Cost: two commands a story.
--@include records
local a = cmsgpack.unpack(ARGV[1])
local flaws, aliases, torn = {}, {}, {}
-- Attaches take off the list what did not move for as long as retention, by the newest one's clock.
local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
local since = (tonumber(newest or '0')) - a.ttl + a.slack

for _, id in ipairs(a.ids) do
  local raw = redis.call('GET', a.prefix .. 'story:' .. id)
  local shown = redis.call('ZSCORE', KEYS[1], id)
  local whole, story = pcall(cmsgpack.unpack, raw or '\144')
  local function flaw(kind, ...)
    flaws[#flaws + 1] = {kind, id}
    if a.mend then redis.call(...) end
  end
  if not raw then
    if shown and tonumber(shown) > since then flaw('shown_gone', 'ZREM', KEYS[1], id) end
  elseif not whole or type(story) ~= 'table' or (#story ~= 11 and #story ~= 1) then
    torn[#torn + 1] = id
  elseif #story == 1 then
    aliases[#aliases + 1] = id
    if shown then flaw('shown_merged', 'ZREM', KEYS[1], id) end
  elseif not shown and story[5] > since then
    flaw('not_shown', 'ZADD', KEYS[1], story[5], id)
  end
end
return {flaws, aliases, torn}
