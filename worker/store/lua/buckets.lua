-- Included by probe and attach: where a bucket lies and how its ids are packed.
-- A bucket is one field of a sharded hash; its value is a string of raw ids of equal width, newest
-- first. Shards keep the hashes small, which Redis stores compactly (listpack).
-- Return the shards of some buckets in order, and the buckets of each. Slots won by one term lie in
-- one shard, so that one command reads several.
local function by_shard(shards, buckets)
  local order, fields = {}, {}
  for _, bucket in ipairs(buckets) do
    local _, a, b, c, d = string.byte(bucket, 1, 5)
    local shard = (((a * 256 + b) * 256 + c) * 256 + d) % shards
    if fields[shard] then
      fields[shard][#fields[shard] + 1] = bucket
    else
      fields[shard] = {bucket}
      order[#order + 1] = shard
    end
  end
  return order, fields
end

local function hex(raw)
  return (string.gsub(raw, '.', function(c) return string.format('%02x', string.byte(c)) end))
end

-- Look, for each id, in how many buckets of some partitions it is, and how telling these are: a
-- bucket of n ids counts 1/n, for what many stories share tells little.
-- Returns counts and weights by id, and the ids in the order met (newest partition, newest id first).
local function look_up(prefix, level, partitions, shards, buckets, width)
  local hits, weights, order = {}, {}, {}
  local shard_order, fields = by_shard(shards, buckets)
  for _, partition in ipairs(partitions) do
    local base = prefix .. level .. ':' .. partition .. ':'
    for _, shard in ipairs(shard_order) do
      local found = redis.call('HMGET', base .. shard, unpack(fields[shard]))
      for _, ids in ipairs(found) do
        if ids then
          local share = width / #ids
          for i = 1, #ids, width do
            local id = string.sub(ids, i, i + width - 1)
            if hits[id] then
              hits[id] = hits[id] + 1
              weights[id] = weights[id] + share
            else
              hits[id] = 1
              weights[id] = share
              order[#order + 1] = id
            end
          end
        end
      end
    end
  end
  return hits, weights, order
end
