-- Included by probe and attach: the index of one level ('c' copies, 's' stories).
--
-- It is a hash table by linear hashing (Litwin 1980) in one Redis hash: page number -> page, 'pages'
-- -> how many there are, 'entries' -> how many they hold. A page is a string of entries of equal
-- width, newest first: 4 bytes of bucket hash, 2 bytes of stamp, then an id. One command reads the
-- pages of all buckets of an article, and the index grows page by page, never all at once.
--
-- A stamp is the time of the attach in units of window / AGES. What is older than the window is not
-- seen any more, and leaves when its page is next written: nothing walks over the index for that.
local LOAD = 32 -- entries a page: more save little memory, and every attach writes whole pages to the AOF
local AGES = 32 -- as in worker/store/index.py, which makes the stamps
local HEAD = 6 -- bytes before the id
local find, sub, byte, pack = string.find, string.sub, string.byte, struct.pack

local function pages_for(entries) return math.max(1, math.ceil(entries / LOAD)) end

-- The smallest power of two that is not below a count.
local function span_of(count)
  local span = 1
  while span < count do span = span * 2 end
  return span
end

-- Return the names of the pages that hold an article's buckets, of `count` pages. A name is a number
-- as 4 bytes: Redis would print numbers digit by digit, which takes as long as reading the pages.
local function names_of(hashes, count)
  local names = {struct.unpack('>' .. string.rep('I4', #hashes / 4), hashes)}
  names[#names] = nil -- where unpack stopped
  local span = span_of(count)
  for i = 1, #names do
    local page = names[i] % span
    names[i] = pack('>I4', page < count and page or page - span / 2)
  end
  return names
end

-- Return whether the entry at a position is older than the window. Stamps go round; one that is
-- ahead was written by a worker whose clock is.
local function is_stale(page, at, today)
  local high, low = byte(page, at + 4, at + 5)
  return (today - high * 256 - low + 32768) % 65536 - 32768 > AGES
end

-- Return where a page has the next entry that starts with `hash`, from a position on, or nil.
local function next_entry(page, hash, from, width)
  local at = find(page, hash, from, true)
  while at and at % width ~= 1 do at = find(page, hash, at + 1, true) end
  return at
end

-- Look how telling the buckets are that an article shares with each id: one of n ids counts 1/n, for
-- what many share tells little. `hits`, if given, takes the number of shared buckets by id.
-- Returns weights by id, the ids in the order met (newest first in each bucket), and how many ids
-- were read. Each id costs a microsecond, so there are no calls and tables but those needed.
local function look_up(key, hashes, today, width, hits)
  local weights, order, read, places = {}, {}, 0, {}
  local pages = tonumber(redis.call('HGET', key, 'pages') or '0')
  if pages == 0 or hashes == '' then return weights, order, read end
  local found = redis.call('HMGET', key, unpack(names_of(hashes, pages)))
  for i = 1, #found do
    local page, count = found[i], 0
    if page then
      local hash = sub(hashes, 4 * i - 3, 4 * i)
      local at = next_entry(page, hash, 1, width)
      while at do
        if not is_stale(page, at, today) then
          count = count + 1
          places[count] = at
        end
        at = next_entry(page, hash, at + width, width)
      end
      read = read + count
      for k = 1, count do
        local id = sub(page, places[k] + HEAD, places[k] + width - 1)
        local weight = weights[id]
        if not weight then order[#order + 1] = id end
        weights[id] = (weight or 0) + 1 / count
        if hits then hits[id] = (hits[id] or 0) + 1 end
      end
    end
  end
  return weights, order, read
end
