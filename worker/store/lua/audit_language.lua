-- Compare the counters of a language with each other, and correct them, if told to.
--
-- KEYS[1] {ns:lang}:seq  KEYS[2] {ns:lang}:recent  KEYS[3..] {ns:lang}:docs:<half>, the newest first
-- ARGV[1] map: mend (boolean)
-- return  {kind of flaw, number, number} ...
local a = cmsgpack.unpack(ARGV[1])
local flaws = {}
local seq = tonumber(redis.call('GET', KEYS[1]) or '0')
local newest = tonumber(redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2] or '0')
if newest > seq then -- the next articles would take the numbers of others
  flaws[1] = {'seq_behind', seq, newest}
  if a.mend then redis.call('SET', KEYS[1], newest) end
  seq = newest
end
local docs = 0
for i = 3, #KEYS do docs = docs + tonumber(redis.call('GET', KEYS[i]) or '0') end
if docs > seq then
  flaws[#flaws + 1] = {'docs_ahead', docs, seq}
  for i = 3, a.mend and #KEYS or 0 do
    local count = tonumber(redis.call('GET', KEYS[i]) or '0')
    local surplus = math.min(docs - seq, count)
    if surplus > 0 then redis.call('SET', KEYS[i], count - surplus, 'KEEPTTL') end
    docs = docs - surplus
  end
end
return flaws
