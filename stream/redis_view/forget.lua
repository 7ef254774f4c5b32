-- Forget records of one partition, unless it is no longer ours or Redis is no longer the one we filled.
-- KEYS[1]: the partition's hash. ARGV[1]: msgpack {boot, epoch, {key, ...}}.
-- Returns how many were there, -1 where the boot id or epoch is not ours (wiped), -2 where a newer owner claimed it.
local said = cmsgpack.unpack(ARGV[1])
local boot, epoch, keys = said[1], said[2], said[3]
local here = redis.call('HMGET', KEYS[1], 'boot', 'epoch')
if here[1] ~= boot then return -1 end
if not here[2] then return -1 end
if tonumber(here[2]) > epoch then return -2 end
if tonumber(here[2]) < epoch then return -1 end
local gone = 0
for i = 1, #keys do
  gone = gone + redis.call('DEL', keys[i])
end
return gone
