-- Included by start and give_up: how an entry is given up. KEYS: entry, pending, counts, quarantine.
local function quarantine(keys, id, now, reason)
  redis.call('HSET', keys[1], 'outcome', 'quarantined', 'running', 0, 'reason', reason)
  redis.call('ZREM', keys[2], id)
  redis.call('ZADD', keys[4], now, id)
  redis.call('HINCRBY', keys[3], 'quarantined', 1)
end
