-- Included by scripts that change stories: what happened, for whoever follows the stream.
--
-- Events are numbered from 1 within their language, so that a reader knows how many it missed when
-- the oldest were dropped; ids of a stream only tell the time.
local MAX_EVENTS = 100000

local function tell(prefix, ...)
  local number = redis.call('INCR', prefix .. 'told')
  redis.call('XADD', prefix .. 'events', 'MAXLEN', '~', MAX_EVENTS, '*', 'number', number, ...)
end
