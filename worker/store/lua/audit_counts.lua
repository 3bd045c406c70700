-- Compare the counts of the ledger with what they count, and correct what is certain, if told to.
--
-- KEYS[1] {ns}:counts  KEYS[2] {ns}:pending  KEYS[3] {ns}:quarantine
-- ARGV[1] map: mend (boolean), found (outcome -> how many entries were seen with it; what retention
--         removed is not among them, so the count is that or more)
-- return  {kind of flaw, 1 when it was mended, outcome or '', number, number, number} ...
local a = cmsgpack.unpack(ARGV[1])
local SETTLED = {'attached', 'duplicate', 'rejected'}
local counts, flaws = {}, {}
for _, name in ipairs({'claimed', 'quarantined', unpack(SETTLED)}) do
  counts[name] = tonumber(redis.call('HGET', KEYS[1], name) or '0')
end
local pending, held = redis.call('ZCARD', KEYS[2]), redis.call('ZCARD', KEYS[3])

local function correct(name, value)
  redis.call('HSET', KEYS[1], name, value)
  counts[name] = value
end

if counts.quarantined ~= held then
  flaws[1] = {'held_count', a.mend and 1 or 0, '', counts.quarantined, held, 0}
  if a.mend then correct('quarantined', held) end
end
local seen = 0
local all_seen = true -- nothing that is counted was removed, by retention or by accident
for _, name in ipairs(SETTLED) do
  local found = a.found[name] or 0
  if counts[name] < found then
    flaws[#flaws + 1] = {'outcome_count', a.mend and 1 or 0, name, counts[name], found, 0}
    if a.mend then correct(name, found) end
  end
  seen, all_seen = seen + found, all_seen and counts[name] == found
end

local settled = counts.attached + counts.duplicate + counts.rejected + counts.quarantined
local rest = counts.claimed - pending - settled
if rest ~= 0 then
  local flaw = {'sum_short', 0, '', counts.claimed, pending, settled}
  flaws[#flaws + 1] = flaw
  if rest < 0 then flaw[1] = 'sum_over' end
  if not a.mend then return flaws end
  flaw[2] = 1
  if rest > 0 then -- claimed, but neither waiting nor settled: gone
    correct('rejected', counts.rejected + rest)
    redis.call('HINCRBY', KEYS[1], 'rejected:lost', rest)
  elseif all_seen then -- each outcome is one of an entry that is there
    correct('claimed', counts.claimed - rest)
  elseif counts.claimed == pending + held + seen then -- so none was removed: outcomes count too many
    for _, name in ipairs(SETTLED) do correct(name, a.found[name] or 0) end
  else
    flaw[2] = 0
  end
end
return flaws
