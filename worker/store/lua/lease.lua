-- Included by what ends a stage: whether a result comes from the lease that the entry has.
--
-- A worker that was stopped for longer than its lease may come back when another one has begun anew;
-- what it brings then is late and changes nothing. An empty token is for results without a lease.
local function is_late(key, token)
  return token ~= '' and redis.call('HGET', key, 'token') ~= token
end
