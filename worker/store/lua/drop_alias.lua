-- Look whether a merged story's id still leads nowhere, or in a circle; and forget the id, if told to.
--
-- KEYS[1] {ns:lang}:seq    every other key has the same prefix, so the same hash tag and slot
-- ARGV[1] map: prefix, chain (the id, the one it stands for, and so on: the last one is not there, or
--         is one of those before), mend (boolean)
-- return  1 when it is so, else 0
--
-- Cost: a command a name of the chain.
--@include records
local a = cmsgpack.unpack(ARGV[1])
local function key(id) return a.prefix .. 'story:' .. id end
local last, met = a.chain[#a.chain], {}
local left = redis.call('PTTL', key(a.chain[1]))
if left >= 0 and left < 1000 then return 0 end -- the story that it stands for may have gone just now
for i = 1, #a.chain - 1 do
  local story = read_record(key(a.chain[i]))
  if not story or #story ~= 1 or story[1] ~= a.chain[i + 1] then return 0 end
  met[a.chain[i]] = true
end
if not met[last] and redis.call('EXISTS', key(last)) == 1 then return 0 end
if a.mend then redis.call('DEL', key(a.chain[1])) end
return 1
