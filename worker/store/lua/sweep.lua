-- Look which ids in a page of the index a probe would find nothing behind; and take them out, if told
-- to.
--
-- KEYS[1] {ns:lang}:c or {ns:lang}:s    every other key has the same prefix, so the same slot
-- ARGV[1] map: prefix, lang, page (its name), ids (raw: of article numbers in c, of stories in s),
--            today (stamp of now), text_width, mend (boolean)
-- return   the ids of which it is true
--
-- Cost: three commands an id.
--@include records
--@include pages
--@include texts
local a = cmsgpack.unpack(ARGV[1])
local page = redis.call('HGET', KEYS[1], a.page) or ''
local dead, found, gone = {}, {}, 0

local function leads(raw)
  if #raw == 6 then return redis.call('EXISTS', a.prefix .. 'story:' .. a.lang .. '-' .. hex(raw)) == 1 end
  local number = struct.unpack('>I4', raw)
  if number > tonumber(redis.call('GET', a.prefix .. 'seq') or '0') then return false end
  local text = read_text(a.prefix, number, a.text_width)
  return text ~= '' and redis.call('EXISTS', a.prefix .. 'article:' .. hex(string.sub(text, 1, 8))) == 1
end

for _, raw in ipairs(a.ids) do
  if not leads(raw) then dead[raw] = true end
end
local width = HEAD + #(a.ids[1] or '')
local kept = {}
for at = 1, #page - width + 1, width do
  local id = sub(page, at + HEAD, at + width - 1)
  if dead[id] and not is_stale(page, at, a.today) then
    gone = gone + 1
    if dead[id] == true then
      found[#found + 1] = id
      dead[id] = 'told'
    end
  else
    kept[#kept + 1] = sub(page, at, at + width - 1)
  end
end
if a.mend and gone > 0 then
  redis.call('HSET', KEYS[1], a.page, table.concat(kept))
  redis.call('HINCRBY', KEYS[1], 'entries', -gone)
end
return found
