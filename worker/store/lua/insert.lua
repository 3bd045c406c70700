-- Included by attach and split, after `pages`: puts an id into the pages of one level.

-- Give the table page number `count`, for the entries whose hash says so; all of them lie in the
-- page with the same number but for the top bit.
local function grow(key, pages, count, width)
  local half = span_of(count + 1) / 2
  local old = pack('>I4', count - half)
  local page, stay, move = pages[old] or redis.call('HGET', key, old) or '', {}, {}
  for at = 1, #page, width do
    local list = struct.unpack('>I4', page, at) % (2 * half) == count and move or stay
    list[#list + 1] = sub(page, at, at + width - 1)
  end
  pages[old], pages[pack('>I4', count)] = table.concat(stay), table.concat(move)
end

-- Return a page with an entry at its head, once, and how many entries it has more: of the bucket's
-- `cap` ids the oldest makes room, and so does what is too old for the index at the page's end. A
-- page where this very entry is the bucket's first stays as it is, which saves its writing.
local function with_head(page, entry, cap, today)
  local width, hash, id = #entry, sub(entry, 1, 4), sub(entry, HEAD + 1)
  local count, known, drop, more = 0, false, nil, 1
  local at = next_entry(page, hash, 1, width)
  while at and not known do
    count, drop, known = count + 1, at, sub(page, at + HEAD, at + width - 1) == id
    at = next_entry(page, hash, at + width, width)
  end
  if known and count == 1 and sub(page, drop, drop + width - 1) == entry then return page, 0 end
  if known or count == cap then
    page, more = sub(page, 1, drop - 1) .. sub(page, drop + width), 0
  end
  while page ~= '' and is_stale(page, #page - width + 1, today) do
    page, more = sub(page, 1, -width - 1), more - 1
  end
  return entry .. page, more
end

-- Put an id at the head of each bucket. Cost: three commands, and one for each page that is new: a
-- page for every LOAD new entries.
local function insert(key, hashes, id, cap, today)
  if hashes == '' then return end
  local state = redis.call('HMGET', key, 'pages', 'entries')
  local count, entries = tonumber(state[1] or '1'), tonumber(state[2] or '0')
  local names, pages, tail = names_of(hashes, count), {}, pack('>I2', today) .. id
  local found = redis.call('HMGET', key, unpack(names))
  for i = 1, #names do
    local name, entry = names[i], sub(hashes, 4 * i - 3, 4 * i) .. tail
    local old = pages[name] or found[i] or ''
    local page, more = with_head(old, entry, cap, today)
    if page ~= old then
      pages[name], entries = page, entries + more
    end
  end
  while count < pages_for(entries) do
    grow(key, pages, count, HEAD + #id)
    count = count + 1
  end
  local fields = {'pages', count, 'entries', entries}
  local at = #fields
  for name, page in pairs(pages) do
    fields[at + 1], fields[at + 2] = name, page
    at = at + 2
  end
  redis.call('HSET', key, unpack(fields))
end
