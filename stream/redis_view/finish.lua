-- Say that every record of the partition is written. KEYS[1]: its hash. ARGV: boot id, epoch. Returns 1, or 0 if not ours.
local here = redis.call('HMGET', KEYS[1], 'boot', 'epoch')
if here[1] ~= ARGV[1] or here[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'complete', '1')
return 1
