-- Let a webhook's parked events be sent again, at once; one that was stopped goes on.
--
-- KEYS[1] {ns}:webhook:<id>  KEYS[2] {ns}:parked:<id>
-- ARGV[1] not used
-- return  how many events will be sent again; -1 when there is no such webhook
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
local parked = redis.call('LLEN', KEYS[2])
redis.call('HSET', KEYS[1], 'again', parked, 'attempts', 0, 'retry_at', 0, 'stopped', '')
return parked
