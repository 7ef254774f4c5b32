-- Claim one partition's hash for a new owner.
-- KEYS[1]: the partition's hash. ARGV: boot id read before the marker, epoch.
-- Returns 1 where the view is complete, 0 where every record must be written, -1 where the boot id is not the one
-- that was read (wiped meanwhile), -2 where a newer owner claimed it.
local here = redis.call('HMGET', KEYS[1], 'boot', 'epoch', 'complete')
if here[1] ~= ARGV[1] then return -1 end
if here[2] and tonumber(here[2]) > tonumber(ARGV[2]) then return -2 end
redis.call('HSET', KEYS[1], 'epoch', ARGV[2])
if here[3] then return 1 end
return 0
