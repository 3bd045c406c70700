-- Included by what reads or writes the list of what a feed's last document said.
--
-- Before edits were looked for it was a set of entry ids, and is one until a script of this version
-- comes by: of those it is not known what was said.
local function to_hash(listed)
  if redis.call('TYPE', listed).ok ~= 'set' then return end
  local ids = redis.call('SMEMBERS', listed)
  redis.call('DEL', listed)
  for _, id in ipairs(ids) do redis.call('HSET', listed, id, '') end
end
