-- Workflow state. Every call is one run of this script, so it is done whole or not at all: all
-- checks come before the first write, and a server that is out of memory refuses only the first
-- write. Deleting needs no memory, so that a full server can be emptied. KEYS[1] is the prefix of:
--
--   run:<id>       hash   the fields of a run that are not empty, and top, the highest position
--   steps:<id>     hash   position -> body            signals:<id>  list   bodies, from number 1 on
--   serial         number of the last run             all           zset   id by serial
--   status:<s>     zset   id by serial                statuses      set    the <s> ever seen
--   unfinished     zset   id by serial                finished      zset   id by when it finished
--   ready          zset   <serial>:<id> by minus the priority; nobody owns it, due at once
--   due            zset   <serial>:<id> by when it is due; nobody owns it
--   blob:<digest>  string; uses:<digest> and blobs-of:<id> are sets of ids and of digests
--   owners         hash   owner -> body               notes         hash   name -> document
--
-- Serials in members are padded to 16 digits, so that those with one score stand in their order.
local prefix = KEYS[1]
local call = redis.call
local BATCH = 1000 -- arguments of one command; `unpack` has its limit

local FIELDS = {
    'id', 'name', 'status', 'created', 'body', 'owner', 'epoch', 'finished', 'outcome', 'serial',
    'due', 'priority', 'signals',
}

local function key(kind, name)
    return prefix .. kind .. ':' .. name
end

local function row(id)
    return call('HMGET', key('run', id), unpack(FIELDS))
end

local function rows(ids)
    local found = {}
    for n, id in ipairs(ids) do
        found[n] = row(id)
    end
    return found
end

local function held(id, epoch)
    local run = call('HMGET', key('run', id), 'epoch', 'finished', 'status', 'owner', 'signals')
    if run[1] and run[1] == epoch and not run[2] then
        return {status = run[3], owner = run[4], signals = run[5]}
    end
    return nil
end

local function member(id)
    return string.format('%016d', call('HGET', key('run', id), 'serial')) .. ':' .. id
end

-- Whether it waits for who takes it: written whenever owner, due or finished change.
local function place(id)
    local run = call('HMGET', key('run', id), 'owner', 'finished', 'due', 'priority')
    local name = member(id)
    if run[1] or run[2] then
        call('ZREM', prefix .. 'ready', name)
        call('ZREM', prefix .. 'due', name)
    elseif run[3] then
        call('ZREM', prefix .. 'ready', name)
        call('ZADD', prefix .. 'due', run[3], name)
    else
        call('ZREM', prefix .. 'due', name)
        call('ZADD', prefix .. 'ready', 0 - run[4], name)
    end
end

local function set_status(id, before, status)
    if before == status then
        return
    end
    local serial = call('HGET', key('run', id), 'serial')
    call('ZREM', key('status', before), id)
    call('ZADD', key('status', status), serial, id)
    call('SADD', prefix .. 'statuses', status)
    call('HSET', key('run', id), 'status', status)
end

local function optional(id, field, text)
    if text == '' then
        call('HDEL', key('run', id), field)
    else
        call('HSET', key('run', id), field, string.sub(text, 2))
    end
end

local function copy_steps(from, to, below)
    local top = tonumber(call('HGET', key('run', from), 'top') or 0)
    local last = math.min(top, tonumber(below) - 1)
    local copied = 0
    for first = 1, last, BATCH do
        local positions = {}
        for position = first, math.min(last, first + BATCH - 1) do
            positions[#positions + 1] = string.format('%d', position)
        end
        local bodies = call('HMGET', key('steps', from), unpack(positions))
        for n, position in ipairs(positions) do
            if bodies[n] then
                call('HSET', key('steps', to), position, bodies[n])
                copied = position
            end
        end
    end
    call('HSET', key('run', to), 'top', copied)
end

local function fork(from, to, below)
    copy_steps(from, to, below)
    local signals = call('LRANGE', key('signals', from), 0, -1)
    for _, body in ipairs(signals) do
        call('RPUSH', key('signals', to), body)
    end
    call('HSET', key('run', to), 'signals', #signals)
    for _, digest in ipairs(call('SMEMBERS', key('blobs-of', from))) do
        call('SADD', key('blobs-of', to), digest)
        call('SADD', key('uses', digest), to)
    end
end

local operations = {}

function operations.create(id, name, status, created, body, owner, epoch, due, priority, from, below)
    if call('EXISTS', key('run', id)) == 1 then
        return row(id)
    end
    local serial = call('INCR', prefix .. 'serial')
    call('HSET', key('run', id), 'id', id, 'name', name, 'status', status, 'created', created,
        'body', body, 'epoch', epoch, 'serial', serial, 'priority', priority, 'signals', 0)
    optional(id, 'owner', owner)
    optional(id, 'due', due)
    call('ZADD', prefix .. 'all', serial, id)
    call('ZADD', prefix .. 'unfinished', serial, id)
    call('ZADD', key('status', status), serial, id)
    call('SADD', prefix .. 'statuses', status)
    place(id)
    if from ~= '' then
        fork(string.sub(from, 2), id, below)
    end
    return false
end

-- A run of another store, whose steps and signals are here already; from ARGV[16] on its blobs.
function operations.put(id, name, status, created, body, owner, epoch, due, priority, finished, outcome)
    local serial, signals, top = ARGV[13], ARGV[14], ARGV[15]
    if call('EXISTS', key('run', id)) == 1
        or call('ZCOUNT', prefix .. 'all', serial, serial) > 0 then
        return 0
    end
    call('HSET', key('run', id), 'id', id, 'name', name, 'status', status, 'created', created,
        'body', body, 'epoch', epoch, 'serial', serial, 'priority', priority, 'signals', signals,
        'top', top)
    optional(id, 'owner', owner)
    optional(id, 'due', due)
    optional(id, 'finished', finished)
    optional(id, 'outcome', outcome)
    call('ZADD', prefix .. 'all', serial, id)
    if finished == '' then
        call('ZADD', prefix .. 'unfinished', serial, id)
    else
        call('ZADD', prefix .. 'finished', string.sub(finished, 2), id)
    end
    call('ZADD', key('status', status), serial, id)
    call('SADD', prefix .. 'statuses', status)
    if tonumber(serial) > tonumber(call('GET', prefix .. 'serial') or '0') then
        call('SET', prefix .. 'serial', serial)
    end
    for n = 16, #ARGV do
        call('SADD', key('uses', ARGV[n]), id)
        call('SADD', key('blobs-of', id), ARGV[n])
    end
    place(id)
    return 1
end

function operations.read(id)
    return call('EXISTS', key('run', id)) == 1 and row(id)
end

-- Of the next BATCH runs below `before`, those that fit, up to `limit`; and where to go on.
function operations.list(set, before, limit, name, since, till, containing)
    local ids = call('ZREVRANGEBYSCORE', prefix .. set, before, '-inf', 'LIMIT', 0, BATCH)
    local found, reached = {}, false
    for _, id in ipairs(ids) do
        local run = call('HMGET', key('run', id), 'name', 'created', 'body', 'serial')
        reached = run[4]
        if (name == '' or run[1] == string.sub(name, 2))
            and tonumber(run[2]) >= tonumber(since) and tonumber(run[2]) < tonumber(till)
            and (containing == '' or string.find(run[3], string.sub(containing, 2), 1, true)) then
            found[#found + 1] = row(id)
            if #found == tonumber(limit) then
                break
            end
        end
    end
    return {found, #ids == BATCH and reached}
end

function operations.ready(now, limit)
    local most = tonumber(limit)
    local urgent = {}
    for _, name in ipairs(call('ZRANGE', prefix .. 'ready', 0, most - 1)) do
        urgent[#urgent + 1] = name
    end
    for _, name in ipairs(call('ZRANGEBYSCORE', prefix .. 'due', '-inf', now)) do
        urgent[#urgent + 1] = name
    end
    local priorities = {}
    for _, name in ipairs(urgent) do
        priorities[name] = tonumber(call('HGET', key('run', string.sub(name, 18)), 'priority'))
    end
    table.sort(urgent, function(one, other)
        if priorities[one] ~= priorities[other] then
            return priorities[one] > priorities[other]
        end
        return one < other
    end)
    local ids = {}
    for n = 1, math.min(most, #urgent) do
        ids[n] = string.sub(urgent[n], 18)
    end
    return rows(ids)
end

function operations.count()
    local counts = {}
    for _, status in ipairs(call('SMEMBERS', prefix .. 'statuses')) do
        local count = call('ZCARD', key('status', status))
        if count > 0 then
            counts[#counts + 1] = {status, count}
        end
    end
    return counts
end

function operations.claim(id, epoch, owner, status, due, signals)
    local run = held(id, epoch)
    if not run or (signals ~= '' and run.signals ~= signals) then
        return 0
    end
    call('HINCRBY', key('run', id), 'epoch', 1)
    optional(id, 'owner', owner)
    optional(id, 'due', due)
    set_status(id, run.status, status)
    place(id)
    return 1
end

function operations.steps(id, after, limit)
    local top = tonumber(call('HGET', key('run', id), 'top') or 0)
    local found = {}
    local first = tonumber(after) + 1
    while first <= top and #found < tonumber(limit) do
        local positions = {}
        for position = first, math.min(top, first + BATCH - 1) do
            positions[#positions + 1] = string.format('%d', position)
        end
        local bodies = call('HMGET', key('steps', id), unpack(positions))
        for n, position in ipairs(positions) do
            if bodies[n] and #found < tonumber(limit) then
                found[#found + 1] = {tonumber(position), bodies[n]}
            end
        end
        first = first + BATCH
    end
    return found
end

function operations.finish(id, epoch, status, outcome, finished)
    local run = held(id, epoch)
    if not run then
        return 0
    end
    call('HSET', key('run', id), 'outcome', outcome, 'finished', finished)
    call('HDEL', key('run', id), 'owner')
    set_status(id, run.status, status)
    call('ZREM', prefix .. 'unfinished', id)
    call('ZADD', prefix .. 'finished', finished, id)
    place(id)
    return 1
end

function operations.reopen(id, epoch, status)
    local run = call('HMGET', key('run', id), 'epoch', 'finished', 'status', 'serial')
    if run[1] ~= epoch or not run[2] then
        return 0
    end
    call('HINCRBY', key('run', id), 'epoch', 1)
    call('HDEL', key('run', id), 'finished', 'outcome', 'due')
    set_status(id, run[3], status)
    call('ZREM', prefix .. 'finished', id)
    call('ZADD', prefix .. 'unfinished', run[4], id)
    place(id)
    for n = 5, #ARGV do -- the positions to drop, any number of them
        call('HDEL', key('steps', id), ARGV[n])
    end
    return 1
end

function operations.signal(id, body)
    local run = call('HMGET', key('run', id), 'epoch', 'finished', 'owner')
    if not run[1] or run[2] then
        return 0
    end
    call('HINCRBY', key('run', id), 'signals', 1)
    call('RPUSH', key('signals', id), body)
    if not run[3] then
        call('HDEL', key('run', id), 'due')
        place(id)
    end
    return 1
end

function operations.save_blob(id, digest, data)
    call('SETNX', key('blob', digest), data)
    if call('EXISTS', key('run', id)) == 1 then
        call('SADD', key('uses', digest), id)
        call('SADD', key('blobs-of', id), digest)
    end
    return 1
end

function operations.delete(before, limit)
    local set = prefix .. 'finished'
    local keep, kept, ids = {}, #ARGV - 3, {}
    for n = 4, #ARGV do
        keep[ARGV[n]] = true
    end
    -- Of so many, `limit` are left when those to be kept are left out.
    local most = tonumber(limit) + kept
    for _, id in ipairs(call('ZRANGEBYSCORE', set, '-inf', '(' .. before, 'LIMIT', 0, most)) do
        if not keep[id] and #ids < tonumber(limit) then
            ids[#ids + 1] = id
        end
    end
    for _, id in ipairs(ids) do
        for _, digest in ipairs(call('SMEMBERS', key('blobs-of', id))) do
            call('SREM', key('uses', digest), id)
            if call('EXISTS', key('uses', digest)) == 0 then
                call('DEL', key('blob', digest))
            end
        end
        call('ZREM', key('status', call('HGET', key('run', id), 'status')), id)
        call('ZREM', prefix .. 'all', id)
        call('ZREM', set, id)
        call('DEL', key('run', id), key('steps', id), key('signals', id), key('blobs-of', id))
    end
    return ids
end

function operations.swap(name, before, after)
    local present = call('HGET', prefix .. 'notes', name)
    if (before == '') ~= (not present) or (present and before ~= '=' .. present) then
        return 0
    end
    call('HSET', prefix .. 'notes', name, after)
    return 1
end

return operations[ARGV[1]](unpack(ARGV, 2, 13))
