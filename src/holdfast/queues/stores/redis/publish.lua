-- A queue that was put together aside takes the place of an empty one. KEYS are the eleven of the
-- queue (see queue.lua), the eleven aside, and, of a subscription, the cursors of its topic. ARGV:
-- paused, the last number when it was begun, and the subscription and its position.
local call = redis.call
local meta, aside = KEYS[1], KEYS[12]
if call('HLEN', KEYS[2]) > 0 or (call('HGET', meta, 'last') or '0') ~= ARGV[2] then
    return 0
end
if KEYS[23] and call('HEXISTS', KEYS[23], ARGV[3]) == 1 then
    return 0
end
for n = 2, 11 do
    call('DEL', KEYS[n])
    if call('EXISTS', KEYS[n + 11]) == 1 then
        call('RENAME', KEYS[n + 11], KEYS[n])
    end
end
for _, field in ipairs({'last', 'died'}) do
    local value = call('HGET', aside, field)
    if value then
        call('HSET', meta, field, value)
    end
end
call('HSET', meta, 'paused', ARGV[1])
call('DEL', aside)
if KEYS[23] then
    call('HSET', KEYS[23], ARGV[3], ARGV[4])
end
return 1
