-- One queue. Every call is one run of this script, so it is done whole or not at all: all checks
-- come before the first write, and a server that is out of memory refuses only the first write.
-- Ids are padded to 16 digits, so that members with the same score stand in the order of putting.
--
--   meta      hash   id, last (message), died (how many), paused, watched (until then puts are
--                    published, in seconds of the server's clock)
--   payloads  hash   id -> time of putting, a space, the payload
--   states    hash   id -> cmsgpack of a state, see `read`; missing: never taken, plain
--   ready     zset   id by minus the priority      delayed  zset   id by when it is ready
--   leased    zset   id by the end of the lease    dead     zset   id by the order of dying
--   blocked   zset   <length>:<group>:<id>         heads    hash   group -> id of the one in play
--   keys      zset   <length>:<key>:<id> of the messages that are not dead
--   fed       zset   id by its position in the log it was fed from
local meta, payloads, states, ready, delayed, leased, dead, blocked, heads, keys, fed = unpack(KEYS)
local call = redis.call

-- n: attempts, t: leases ever given, h: whether the last one is held, l: its seconds,
-- p: priority, d: when it is due, k: key, g: group, r: reason, s: whether it was fed,
-- i: its id on the engine it came from
local function read(id)
    local packed = call('HGET', states, id)
    if packed then
        return cmsgpack.unpack(packed)
    end
    if call('HEXISTS', payloads, id) == 1 then
        return {n = 0, t = 0, h = false, p = 0, d = '0'}
    end
    return nil
end

local function write(id, state)
    call('HSET', states, id, cmsgpack.pack(state))
end

local function member(name, id)
    return #name .. ':' .. name .. ':' .. id
end

local function first_of(set, name)
    local prefix = #name .. ':' .. name
    local found = call('ZRANGEBYLEX', set, '[' .. prefix .. ':', '(' .. prefix .. ';', 'LIMIT', 0, 1)
    return found[1] and string.sub(found[1], -16)
end

-- Wake those who wait for messages, if somebody said lately that he does.
local function tell()
    local watched = call('HGET', meta, 'watched')
    if watched and tonumber(watched) > tonumber(call('TIME')[1]) then
        call('PUBLISH', meta, '')
    end
end

local function enter(id, state)
    if tonumber(state.d) > 0 then
        call('ZADD', delayed, state.d, id)
    else
        call('ZADD', ready, 0 - state.p, id)
    end
end

-- A message is in play: it stands for its key, and behind the first of its group.
local function join(id, state)
    if state.k then
        call('ZADD', keys, 0, member(state.k, id))
    end
    if state.g then
        if call('HEXISTS', heads, state.g) == 1 then
            call('ZADD', blocked, 0, member(state.g, id))
            return
        end
        call('HSET', heads, state.g, id)
    end
    enter(id, state)
end

-- A message is out of play: the next of its group follows.
local function part(id, state)
    if state.k then
        call('ZREM', keys, member(state.k, id))
    end
    if state.g then
        call('ZREM', blocked, member(state.g, id))
        if call('HGET', heads, state.g) ~= id then
            return
        end
        local following = first_of(blocked, state.g)
        if following then
            call('ZREM', blocked, member(state.g, following))
            call('HSET', heads, state.g, following)
            enter(following, read(following))
            tell()
        else
            call('HDEL', heads, state.g)
        end
    end
end

local function leave(id)
    call('ZREM', leased, id)
    call('ZREM', ready, id)
end

local function forget(id, state)
    call('HDEL', payloads, id)
    call('HDEL', states, id)
    if state.s then
        call('ZREM', fed, id)
    end
end

local function bury(id, state, reason)
    leave(id)
    state.h = false
    state.r = reason
    write(id, state)
    call('ZADD', dead, call('HINCRBY', meta, 'died', 1), id)
    part(id, state)
end

local function promote(now)
    for _, set in ipairs({delayed, leased}) do
        while true do
            local due = call('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, 1000)
            for _, id in ipairs(due) do
                call('ZREM', set, id)
                call('ZADD', ready, 0 - read(id).p, id)
            end
            if #due < 1000 then
                break
            end
        end
    end
end

-- The clock stepped back: no lease may now last longer than it was given for.
local function shorten(now)
    local all = call('ZRANGE', leased, 0, -1, 'WITHSCORES')
    for n = 1, #all, 2 do
        local most = tonumber(now) + read(all[n]).l
        if tonumber(all[n + 1]) > most then
            call('ZADD', leased, string.format('%.17g', most), all[n])
        end
    end
end

local function holder(id, token)
    local state = read(id)
    if state and state.h and state.t == tonumber(token) then
        return state
    end
    return nil
end

local function shown(id, state)
    return {id, call('HGET', payloads, id), state.n, state.h and state.t or 0, state.r or false,
        state.i or false}
end

local function show(ids)
    local rows = {}
    for n, id in ipairs(ids) do
        rows[n] = shown(id, read(id))
    end
    return rows
end

-- The arguments of an operation that takes any number of them; `unpack` has its limit.
local function arguments()
    local rest = {}
    for n = 2, #ARGV do
        rest[n - 1] = ARGV[n]
    end
    return rest
end

local operations = {}

function operations.put(now, due, priority, payload, key, group, position)
    if key ~= '' then
        key = string.sub(key, 2)
        local known = first_of(keys, key)
        if known then
            return known
        end
    end
    local id = string.format('%016d', call('HINCRBY', meta, 'last', 1))
    local state = {n = 0, t = 0, h = false, p = tonumber(priority), d = due}
    state.k = key ~= '' and key or nil
    state.g = group ~= '' and string.sub(group, 2) or nil
    call('HSET', payloads, id, now .. ' ' .. payload)
    if position then
        state.s = true
        call('ZADD', fed, position, id)
    end
    write(id, state)
    join(id, state)
    tell()
    return id
end

function operations.take(limit, lease, till, max_attempts, now, stepped_back)
    if call('HGET', meta, 'paused') == '1' then
        return {}
    end
    if stepped_back == '1' then
        shorten(now)
    end
    promote(now)
    local taken = {}
    while #taken < tonumber(limit) do
        local id = call('ZRANGE', ready, 0, 0)[1]
        if not id then
            break
        end
        local state = read(id)
        if state.h and state.n >= tonumber(max_attempts) then
            bury(id, state, 'its lease ran out ' .. state.n .. ' times')
            promote(now)
        else
            call('ZREM', ready, id)
            state.n = state.n + 1
            state.t = state.t + 1
            state.h = true
            state.l = tonumber(lease)
            write(id, state)
            call('ZADD', leased, till, id)
            taken[#taken + 1] = shown(id, state)
        end
    end
    return taken
end

function operations.ack()
    local receipts = arguments()
    local held = {}
    for n = 1, #receipts, 2 do
        local state = holder(receipts[n], receipts[n + 1])
        if not state then
            return (n + 1) / 2
        end
        held[n] = state
    end
    for n = 1, #receipts, 2 do
        local id = receipts[n]
        leave(id)
        forget(id, held[n])
        part(id, held[n])
    end
    return 0
end

function operations.nack(id, token, due, reason, max_attempts)
    local state = holder(id, token)
    if not state then
        return 1
    end
    reason = reason ~= '' and string.sub(reason, 2) or nil
    if state.n >= tonumber(max_attempts) then
        bury(id, state, reason or 'given back ' .. state.n .. ' times')
        return 0
    end
    leave(id)
    state.h = false
    state.d = due
    state.r = reason
    write(id, state)
    enter(id, state)
    tell()
    return 0
end

function operations.release()
    local receipts = arguments()
    for n = 1, #receipts, 2 do
        local id = receipts[n]
        local state = holder(id, receipts[n + 1])
        if state then
            leave(id)
            state.h = false
            state.n = state.n - 1
            write(id, state)
            call('ZADD', ready, 0 - state.p, id)
        end
    end
    tell()
end

function operations.extend(id, token, lease, till)
    local state = holder(id, token)
    if not state then
        return 1
    end
    leave(id)
    state.l = tonumber(lease)
    write(id, state)
    call('ZADD', leased, till, id)
    return 0
end

function operations.peek(limit, now)
    promote(now)
    return show(call('ZRANGE', ready, 0, limit - 1))
end

function operations.dead(limit)
    return show(call('ZRANGE', dead, 0, limit - 1))
end

function operations.all()
    local ids = call('HKEYS', payloads)
    table.sort(ids)
    return ids
end

function operations.show()
    local rows = {}
    for _, id in ipairs(arguments()) do
        local state = read(id)
        if state then
            rows[#rows + 1] = shown(id, state)
        end
    end
    return rows
end

local function optional(text)
    return text and '=' .. text or ''
end

-- All that is kept of the messages, for another engine: see `export` in __init__.py.
function operations.export()
    local rows = {}
    for _, id in ipairs(arguments()) do
        local state = read(id)
        if state then
            local place = 'waiting'
            local till = call('ZSCORE', leased, id)
            if till then
                place = 'leased'
            elseif call('ZSCORE', dead, id) then
                place = 'dead'
            elseif state.g and call('HGET', heads, state.g) ~= id then
                place = 'blocked'
            end
            rows[#rows + 1] = {
                id, call('HGET', payloads, id), place, till or '0', string.format('%.0f', state.p),
                state.d, optional(state.k), optional(state.g), call('ZSCORE', fed, id) or '0',
                state.n, state.h and 1 or 0, optional(state.r), optional(state.i),
            }
        end
    end
    return rows
end

-- Messages of another engine, each as 13 arguments; KEYS are aside, publish.lua names them.
function operations.moved()
    for n = 2, #ARGV, 13 do
        local id, value, place, priority, due, key, group, position, attempts, lapsed, reason,
            given, died = unpack(ARGV, n, n + 12)
        local state = {n = tonumber(attempts), t = tonumber(lapsed), h = lapsed == '1', d = due}
        state.p = tonumber(priority)
        state.k = key ~= '' and string.sub(key, 2) or nil
        state.g = group ~= '' and string.sub(group, 2) or nil
        state.r = reason ~= '' and string.sub(reason, 2) or nil
        state.i = given
        call('HSET', payloads, id, value)
        if position ~= '0' then
            state.s = true
            call('ZADD', fed, position, id)
        end
        write(id, state)
        call('HSET', meta, 'last', string.format('%.0f', tonumber(id)))
        if place == 'dead' then
            call('ZADD', dead, died, id)
            call('HSET', meta, 'died', math.max(tonumber(died), tonumber(call('HGET', meta, 'died') or '0')))
        else
            if state.k then
                call('ZADD', keys, 0, member(state.k, id))
            end
            if place == 'blocked' then
                call('ZADD', blocked, 0, member(state.g, id))
            else
                if state.g then
                    call('HSET', heads, state.g, id)
                end
                enter(id, state)
            end
        end
    end
    return 1
end

function operations.forget()
    local count = 0
    for _, id in ipairs(arguments()) do
        local state = read(id)
        if state then
            leave(id)
            call('ZREM', delayed, id)
            if call('ZREM', dead, id) == 0 then
                part(id, state)
            end
            forget(id, state)
            count = count + 1
        end
    end
    return count
end

function operations.requeue()
    local ids = arguments()
    for n, id in ipairs(ids) do
        if not call('ZSCORE', dead, id) then
            return {n, 0}
        end
    end
    if #ids == 0 then
        ids = call('ZRANGE', dead, 0, -1)
    end
    for _, id in ipairs(ids) do
        call('ZREM', dead, id)
        local state = read(id)
        state.n = 0
        state.d = '0'
        write(id, state)
        join(id, state)
    end
    tell()
    return {0, #ids}
end

-- The oldest of each priority, and of all that are delayed or leased; what is blocked is younger.
local function oldest()
    local found = nil
    local function look(id)
        if id and (not found or id < found) then
            found = id
        end
    end
    local first = call('ZRANGE', ready, 0, 0, 'WITHSCORES')
    while first[1] do
        look(first[1])
        first = call('ZRANGEBYSCORE', ready, '(' .. first[2], '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    end
    for _, set in ipairs({delayed, leased}) do
        for _, id in ipairs(call('ZRANGE', set, 0, -1)) do
            look(id)
        end
    end
    return found and call('HGET', payloads, found)
end

function operations.stats(now)
    local late = '(' .. now
    return {
        call('ZCARD', ready) + call('ZCOUNT', delayed, '-inf', now) + call('ZCOUNT', leased, '-inf', now),
        call('ZCOUNT', delayed, late, '+inf'),
        call('ZCOUNT', leased, late, '+inf'),
        call('ZCARD', dead),
        call('ZCARD', blocked),
        call('HGET', meta, 'paused'),
        oldest() or false,
    }
end

function operations.depth()
    return call('ZCARD', ready) + call('ZCARD', delayed) + call('ZCARD', leased) + call('ZCARD', blocked)
end

function operations.pause(paused)
    call('HSET', meta, 'paused', paused)
    tell()
end

-- Somebody waits: publish what is put in the next seconds, here and in the topic (KEYS[13]).
function operations.watch(seconds)
    local watched = tonumber(call('TIME')[1]) + tonumber(seconds)
    call('HSET', meta, 'watched', watched)
    if KEYS[13] then
        call('HSET', KEYS[13], 'watched', watched)
    end
end

function operations.next_due()
    local earliest = nil
    for _, set in ipairs({delayed, leased}) do
        local first = call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]
        if first and (not earliest or tonumber(first) < tonumber(earliest)) then
            earliest = first
        end
    end
    return earliest
end

-- The queue of a subscription. Its cursor, the position up to which it was fed from the log, is kept
-- with the topic (KEYS[12]), under the subscription's name.
function operations.cursor(name)
    return {call('HGET', KEYS[12], name), call('HGET', meta, 'paused')}
end

-- Each message is five arguments from the sixth on: due, priority, payload, key, group, position.
function operations.feed(name, after, upto, now)
    if call('HGET', KEYS[12], name) ~= after then
        return 0
    end
    for n = 6, #ARGV, 6 do
        operations.put(now, unpack(ARGV, n, n + 5))
    end
    call('HSET', KEYS[12], name, upto)
    return 1
end

function operations.seek(name, position)
    local doomed = call('ZRANGEBYSCORE', fed, '(' .. position, '+inf')
    for n = #doomed, 1, -1 do  -- the last of a group first, so that none of them follows
        local id = doomed[n]
        local state = read(id)
        leave(id)
        call('ZREM', delayed, id)
        if call('ZREM', dead, id) == 0 then
            part(id, state)
        end
        forget(id, state)
    end
    call('HSET', KEYS[12], name, position)
end

return operations[ARGV[1]](unpack(ARGV, 2, math.min(#ARGV, 8)))
