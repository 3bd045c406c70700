-- Included by probe and attach: what the copy level keeps of each article for as long as the window.
--
-- Articles are numbered as they are attached. Records of equal width lie end to end in strings that
-- expire whole; each string is made in its full size, so that none is copied when it grows.
local CHUNK = 8100 -- bytes: 38 records of 212, which with Redis's own just fit a block of 8 KiB

local function place_of(prefix, number, width)
  local each = math.floor(CHUNK / width)
  return prefix .. 'texts:' .. math.floor(number / each), number % each * width, each * width
end

-- Return the record of the article with this number, or ''.
local function read_text(prefix, number, width)
  local key, at = place_of(prefix, number, width)
  return redis.call('GETRANGE', key, at, at + width - 1)
end

local function keep_text(prefix, number, record, ttl)
  local key, at, size = place_of(prefix, number, #record)
  if redis.call('EXISTS', key) == 0 then redis.call('SETRANGE', key, size - 1, '\0') end
  redis.call('SETRANGE', key, at, record)
  redis.call('EXPIRE', key, ttl)
end
