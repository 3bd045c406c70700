-- Give late feeds new times, those that nobody leased or moved meanwhile.
--
-- KEYS[1] {ns}:feeds
-- ARGV[1] map: feeds ({id, due_at as it was read, new due_at} ...)
-- return  how many were moved
--
-- Twice: the second call finds none as it was.
local a = cmsgpack.unpack(ARGV[1])
local moved = 0
for _, feed in ipairs(a.feeds) do
  local score = redis.call('ZSCORE', KEYS[1], feed[1])
  if score and tonumber(score) == feed[2] then
    redis.call('ZADD', KEYS[1], feed[3], feed[1])
    moved = moved + 1
  end
end
return moved
