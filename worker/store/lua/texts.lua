-- Included by probe and attach: what the copy level keeps of each article of a partition, for as
-- long as the partition. Articles of a partition are numbered; sixteen records of equal width lie
-- in one field, where each has no overhead of its own.
local TEXTS = 16

-- Return the record of an id as look_up gives it: partition, ':', 3-byte number.
local function read_text(prefix, id)
  local partition, a, b, c = string.sub(id, 1, -5), string.byte(id, -3, -1)
  local number = (a * 256 + b) * 256 + c
  local records = redis.call('HGET', prefix .. 'texts:' .. partition, math.floor(number / TEXTS))
  if not records then return nil end
  -- The last field may not be full yet, so the width is told by its first bytes.
  local width = string.byte(records, 1) * 256 + string.byte(records, 2)
  local at = 3 + number % TEXTS * width
  return string.sub(records, at, at + width - 1)
end

-- Append the record of the article with this number; numbers come without gaps.
local function keep_text(prefix, partition, number, record)
  local key, field = prefix .. 'texts:' .. partition, math.floor(number / TEXTS)
  local records = redis.call('HGET', key, field)
  if not records then
    records = string.char(math.floor(#record / 256), #record % 256)
  end
  redis.call('HSET', key, field, records .. record)
end
