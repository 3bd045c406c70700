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

-- Return the page number of each bucket, the pages by number, and the number of entries.
local function read_pages(key, hashes)
  local entries = tonumber(redis.call('HGET', key, 'entries') or '0')
  local count = pages_for(entries)
  local span, numbers, pages = span_of(count), {}, {}
  for at = 1, #hashes, 4 do numbers[#numbers + 1] = page_of(hashes, at, count, span) end
  if entries > 0 and #numbers > 0 then
    for i, page in ipairs(redis.call('HMGET', key, unpack(numbers))) do
      pages[numbers[i]] = page or ''
    end
  end
  return numbers, pages, entries
end

-- Return where a page has the next entry that starts with `hash`, from a position on, or nil.
local function next_entry(page, hash, from, width)
  local at = find(page, hash, from, true)
  while at and at % width ~= 1 do at = find(page, hash, at + 1, true) end
  return at
end

-- Look, for each id, in how many of an article's buckets it is, and how telling these are: a bucket
-- of n ids counts 1/n, for what many share tells little. `tagged` puts the partition before an id.
-- Returns hits and weights by id, the ids in the order met (newest partition, newest id first), and
-- how many ids were read.
local function look_up(prefix, level, partitions, hashes, width, tagged)
  local hits, weights, order, read = {}, {}, {}, 0
  for _, partition in ipairs(partitions) do
    local tag = tagged and partition .. ':' or ''
    local numbers, pages, entries = read_pages(prefix .. level .. ':' .. partition, hashes)
    for i, number in ipairs(entries > 0 and numbers or {}) do
      local page, hash = pages[number], sub(hashes, 4 * i - 3, 4 * i)
      local at = next_entry(page, hash, 1, width)
      if at then
        local ids = {}
        while at do
          ids[#ids + 1] = tag .. sub(page, at + 4, at + width - 1)
          at = next_entry(page, hash, at + width, width)
        end
        read = read + #ids
        for _, id in ipairs(ids) do
          if hits[id] then
            hits[id] = hits[id] + 1
            weights[id] = weights[id] + 1 / #ids
          else
            hits[id], weights[id] = 1, 1 / #ids
            order[#order + 1] = id
          end
        end
      end
    end
  end
  return hits, weights, order, read
end
