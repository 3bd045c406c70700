-- Included by every script that reads or writes records: msgpack lists in strings.
--
-- An article: story, root (the first of its family to come, '' for that one), entry, source,
--   published_at, seen_at, then what few scripts read: shingles, score, ref, url (SAME_AS_REF as of most),
--   title, evidence; and where it was edited: edited_at, alias (the id that its address of now would give,
--   '' when that is none of its own).
-- An alias of an article: that one's id, alone.
-- A story: version, size, copies, first_at, last_at, exemplars, opened_at, founder, its source, title,
--   past (how many of its articles expired and left its list of members).
-- A story that was merged into another one: that one's id, alone.
local SAME_AS_REF = '='
local MERGED = 0x91 -- the first byte of a list of one
local HOPS = 64     -- from one name of a story to the next: far more merges than happen, and no circle holds up

local function hex(raw)
  return string.format(string.rep('%02x', #raw), string.byte(raw, 1, -1))
end

local function read_record(key)
  local raw = redis.call('GET', key)
  return raw and cmsgpack.unpack(raw)
end

-- Return the id and the packed record of the story that an id stands for by now, or nothing.
local function follow(prefix, id, raw)
  for _ = 1, HOPS do
    if not raw or string.byte(raw, 1) ~= MERGED then return id, raw end
    id = cmsgpack.unpack(raw)[1]
    raw = redis.call('GET', prefix .. 'story:' .. id)
  end
end

-- Write the lists of members and publishers of a story: one of a single article, as most are, has none.
local function open_lists(prefix, id, story)
  if story[2] ~= 1 then return end
  local founder = read_record(prefix .. 'article:' .. story[8])
  redis.call('HSET', prefix .. 'sources:' .. id, story[9], 1)
  redis.call('ZADD', prefix .. 'members:' .. id, founder and founder[5] or story[4], story[8])
end
