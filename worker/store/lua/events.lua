-- Included by scripts that change stories: what happened, for whoever follows the stream.
local MAX_EVENTS = 100000

local function tell(prefix, ...)
  redis.call('XADD', prefix .. 'events', 'MAXLEN', '~', MAX_EVENTS, '*', ...)
end
