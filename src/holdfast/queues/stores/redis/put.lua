-- Put plain messages at the end of the line: ARGV is the time, then the payloads.
-- KEYS and the format of what they hold: see queue.lua.
local count = #ARGV - 1
local watched = redis.call('HGET', KEYS[1], 'watched')
if watched and tonumber(watched) > tonumber(redis.call('TIME')[1]) then
    redis.call('PUBLISH', KEYS[1], '')
end
local last = redis.call('HINCRBY', KEYS[1], 'last', count)
if count == 1 then
    local id = string.format('%016d', last)
    redis.call('HSET', KEYS[2], id, ARGV[1] .. ' ' .. ARGV[2])
    redis.call('ZADD', KEYS[3], 0, id)
    return last
end
local values, members = {}, {}
for n = 1, count do
    local id = string.format('%016d', last - count + n)
    values[2 * n - 1] = id
    values[2 * n] = ARGV[1] .. ' ' .. ARGV[n + 1]
    members[2 * n - 1] = 0
    members[2 * n] = id
end
redis.call('HSET', KEYS[2], unpack(values))
redis.call('ZADD', KEYS[3], unpack(members))
return last
