-- Included by attach, after `pages`: puts an article into the pages of one level and partition.

-- Give the table page number `count`, for the entries whose hash says so; all of them lie in the
-- page with the same number but for the top bit.
local function split(key, pages, changed, count, width)
  local half = span_of(count + 1) / 2
  local old = count - half
  local page, stay, move = pages[old] or redis.call('HGET', key, old) or '', {}, {}
  for at = 1, #page, width do
    local list = page_of(page, at, 2 * half, 2 * half) == count and move or stay
    list[#list + 1] = sub(page, at, at + width - 1)
  end
  pages[old], pages[count] = table.concat(stay), table.concat(move)
  changed[old], changed[count] = true, true
end

-- Return a page with an entry at its head, once, and whether the page has one entry more: of the
-- bucket's `cap` ids the oldest makes room.
local function with_head(page, hash, id, cap)
  local width, count, drop = #hash + #id, 0, nil
  local at = next_entry(page, hash, 1, width)
  while at do
    count, drop = count + 1, at
    if sub(page, at + 4, at + width - 1) == id then break end
    at = next_entry(page, hash, at + width, width)
  end
  if not at and count < cap then return hash .. id .. page, true end
  return hash .. id .. sub(page, 1, drop - 1) .. sub(page, drop + width), false
end

-- Put an id at the head of each bucket. Cost: three commands, and one for each page that is split:
-- a page for every LOAD new entries.
local function insert(key, hashes, id, cap)
  local numbers, found, entries = read_pages(key, hashes)
  local count, pages, changed = pages_for(entries), {}, {}
  for i = 1, #numbers do
    local number = numbers[i]
    local page, more = with_head(pages[number] or found[i] or '', sub(hashes, 4 * i - 3, 4 * i), id, cap)
    pages[number], changed[number] = page, true
    if more then entries = entries + 1 end
  end
  for new = count, pages_for(entries) - 1 do split(key, pages, changed, new, 4 + #id) end
  local fields = {'entries', entries}
  for number in pairs(changed) do
    fields[#fields + 1] = number
    fields[#fields + 1] = pages[number]
  end
  redis.call('HSET', key, unpack(fields))
end
