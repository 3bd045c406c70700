-- Included by probe and attach: the index of one level ('c' copies, 's' stories) of one partition.
--
-- It is a hash table by linear hashing (Litwin 1980) in one Redis hash: page number -> page, and
-- 'entries' -> how many there are, from which the number of pages follows. A page is a string of
-- entries of equal width, newest first: 4 bytes of bucket hash, then an id. One command reads the
-- pages of all buckets of an article, and the index grows page by page, never all at once.
local LOAD = 32 -- entries a page: more save little memory, and every attach writes whole pages to the AOF
local find, sub, byte = string.find, string.sub, string.byte

local function pages_for(entries) return math.max(1, math.ceil(entries / LOAD)) end

-- The smallest power of two that is not below a count.
local function span_of(count)
  local span = 1
  while span < count do span = span * 2 end
  return span
end

-- Return the page of the bucket hash that starts at byte `at`, of `count` pages.
local function page_of(hashes, at, count, span)
  local a, b, c, d = byte(hashes, at, at + 3)
  local page = (((a * 256 + b) * 256 + c) * 256 + d) % span
  return page < count and page or page - span / 2
end

-- Return the page number of each bucket, the page of each (false where there is none), and the
-- number of entries.
local function read_pages(key, hashes)
  local entries = tonumber(redis.call('HGET', key, 'entries') or '0')
  local count = pages_for(entries)
  local span, numbers, found = span_of(count), {}, {}
  for i = 1, #hashes / 4 do numbers[i] = page_of(hashes, 4 * i - 3, count, span) end
  if entries > 0 and #numbers > 0 then found = redis.call('HMGET', key, unpack(numbers)) end
  return numbers, found, entries
end

-- Return where a page has the next entry that starts with `hash`, from a position on, or nil.
local function next_entry(page, hash, from, width)
  local at = find(page, hash, from, true)
  while at and at % width ~= 1 do at = find(page, hash, at + 1, true) end
  return at
end

-- Look how telling the buckets are that an article shares with each id: one of n ids counts 1/n, for
-- what many share tells little. `tag` puts the partition and ':' before an id; `hits`, if given, takes
-- the number of shared buckets by id.
-- Returns weights by id, the ids in the order met (newest partition, newest id first), and how many
-- ids were read. Each id costs a microsecond, so there are no calls and tables but those needed.
local function look_up(prefix, level, partitions, hashes, width, tag, hits)
  local weights, order, read = {}, {}, 0
  local places = {}
  for p = 1, #partitions do
    local before = partitions[p] .. ':'
    local _, pages = read_pages(prefix .. level .. ':' .. partitions[p], hashes)
    for i = 1, #pages do
      local page, count = pages[i], 0
      if page then
        local hash = sub(hashes, 4 * i - 3, 4 * i)
        local at = next_entry(page, hash, 1, width)
        while at do
          count = count + 1
          places[count] = at
          at = next_entry(page, hash, at + width, width)
        end
      end
      read = read + count
      for k = 1, count do
        local id = sub(page, places[k] + 4, places[k] + width - 1)
        if tag then id = before .. id end
        local weight = weights[id]
        if not weight then order[#order + 1] = id end
        weights[id] = (weight or 0) + 1 / count
        if hits then hits[id] = (hits[id] or 0) + 1 end
      end
    end
  end
  return weights, order, read
end
