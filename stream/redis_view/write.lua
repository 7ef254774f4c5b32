-- Write one partition's records, unless it is no longer ours or Redis is no longer the one we filled.
-- KEYS[1]: the partition's hash. ARGV[1]: msgpack {boot, epoch, {{key, rev, field, value, ...}, ...}}.
-- Returns how many were written, -1 where the boot id or epoch is not ours (wiped), -2 where a newer owner claimed it.
-- The records' keys are not declared: they are many, and a cluster is refused at start.
local said = cmsgpack.unpack(ARGV[1])
local boot, epoch, records = said[1], said[2], said[3]
local here = redis.call('HMGET', KEYS[1], 'boot', 'epoch')
if here[1] ~= boot then return -1 end
if not here[2] then return -1 end
if tonumber(here[2]) > epoch then return -2 end
if tonumber(here[2]) < epoch then return -1 end
local written = 0
for i = 1, #records do
  local record = records[i]
  local rev = redis.call('HGET', record[1], 'rev')
  if not rev or tonumber(rev) < record[2] then
    -- A field that the newer record does not have must not stay.
    if rev then redis.call('DEL', record[1]) end
    redis.call('HSET', record[1], unpack(record, 3))
    written = written + 1
  end
end
return written
