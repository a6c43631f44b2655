-- Record a step: KEYS are the run and its steps, ARGV the epoch, the position and the body.
-- The format of what they hold: see workflows.lua.
local run = redis.call('HMGET', KEYS[1], 'epoch', 'finished', 'top')
if run[1] ~= ARGV[1] or run[2] then
    return 0
end
if redis.call('HSETNX', KEYS[2], ARGV[2], ARGV[3]) == 0 then
    return 0
end
if tonumber(ARGV[2]) > tonumber(run[3] or 0) then
    redis.call('HSET', KEYS[1], 'top', ARGV[2])
end
return 1
