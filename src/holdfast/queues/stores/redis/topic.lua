-- One topic. Each call is one run of this script; see queue.lua.
--
--   meta     hash    last (position), settings, watched (see queue.lua)
--   log   stream  <position>-0, fields at and payload
--   cursors  hash    subscription -> the position up to which it was fed
local meta, log, cursors = unpack(KEYS)
local call = redis.call

local operations = {}

function operations.append(now)
    local last = tonumber(call('HGET', meta, 'last') or '0')
    for n = 3, #ARGV do
        last = last + 1
        call('XADD', log, string.format('%.0f-0', last), 'at', now, 'payload', ARGV[n])
    end
    call('HSET', meta, 'last', string.format('%.0f', last))
    local watched = call('HGET', meta, 'watched')
    if watched and tonumber(watched) > tonumber(call('TIME')[1]) then
        call('PUBLISH', meta, '')
    end
    return last
end

-- Entries of another log behind the position `before`, each as its time and its payload.
function operations.place(before)
    local last = call('HGET', meta, 'last') or '0'
    if last ~= '0' and last ~= before then
        return 0
    end
    local position = tonumber(before)
    for n = 3, #ARGV, 2 do
        position = position + 1
        call('XADD', log, string.format('%.0f-0', position), 'at', ARGV[n], 'payload', ARGV[n + 1])
    end
    call('HSET', meta, 'last', string.format('%.0f', position))
    return 1
end

function operations.bounds()
    local last = tonumber(call('HGET', meta, 'last') or '0')
    local first = call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
    local before = last
    if first then
        before = tonumber(string.match(first[1], '^%d+')) - 1
    end
    return {before, last}
end

function operations.trim(upto)
    local least = tonumber(upto)
    for _, position in ipairs(call('HVALS', cursors)) do
        least = math.min(least, tonumber(position))
    end
    return call('XTRIM', log, 'MINID', string.format('%.0f-0', least + 1))
end

return operations[ARGV[1]](ARGV[2])
