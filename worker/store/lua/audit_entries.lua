-- Look whether entries are where the ledger must have them: pending, settled or in quarantine, each in
-- one of these; and bring those that are not to where they belong, if told to.
--
-- KEYS[1] {ns}:pending  KEYS[2] {ns}:quarantine  KEYS[3..] {ns}:entry:<id> of each entry, in order
-- ARGV[1] map: ids, mend (boolean), now
-- return  msgpack of {{kind of flaw, id} ..., the outcome of each entry ('' for none),
--         {id, article, story} of each attached one}
--
-- Cost: three commands an entry.
local a = cmsgpack.unpack(ARGV[1])
local pending, quarantine = KEYS[1], KEYS[2]
local flaws, outcomes, attached = {}, {}, {}

for i, id in ipairs(a.ids) do
  local key = KEYS[2 + i]
  local f = redis.call('HMGET', key, 'stage', 'outcome', 'article', 'story', 'page')
  local stage, outcome = f[1], f[2]
  local due, held = redis.call('ZSCORE', pending, id), redis.call('ZSCORE', quarantine, id)
  -- The kind of a flaw, and the command that mends it.
  local function flaw(kind, ...)
    flaws[#flaws + 1] = {kind, id}
    if a.mend then redis.call(...) end
  end
  outcomes[i] = stage and outcome or ''
  if not stage then
    if redis.call('EXISTS', key) == 1 then flaw('entry_torn', 'DEL', key) end
    if due then flaw('entry_vanished', 'ZREM', pending, id) end
    if held then flaw('held_vanished', 'ZREM', quarantine, id) end
  elseif outcome then
    if due then flaw('settled_pending', 'ZREM', pending, id) end
    if outcome == 'quarantined' then
      if not held then flaw('not_held', 'ZADD', quarantine, a.now, id) end
    elseif held then
      flaw('settled_held', 'ZREM', quarantine, id)
    end
    if outcome == 'attached' then attached[#attached + 1] = {id, f[3] or '', f[4] or ''} end
  else
    if stage ~= 'fetch' and stage ~= 'work' then
      flaw('stage_unknown', 'HSET', key, 'stage', f[5] and f[5] ~= '' and 'work' or 'fetch')
    end
    if held and due then
      flaw('pending_held', 'ZREM', quarantine, id)
    elseif held then
      flaw('held_unmarked', 'HSET', key, 'outcome', 'quarantined', 'running', 0)
    elseif not due then
      flaw('forgotten', 'ZADD', pending, a.now, id)
    end
    if a.mend then redis.call('PERSIST', key) end -- it may have been settled, and its end be near
  end
end
return cmsgpack.pack({flaws, outcomes, attached})
