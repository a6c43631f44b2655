"""The tables of queues in PostgreSQL, and every statement on them."""

from holdfast.queues.stores.moving import EXPORTED, TAKEN_OVER

MIGRATIONS = (
    """
CREATE TABLE queues (
    serial bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    id text NOT NULL,
    paused boolean NOT NULL DEFAULT false
);
CREATE TABLE queue_messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue bigint NOT NULL,
    place text NOT NULL,                      -- ready, delayed, leased, blocked or dead
    rank bigint NOT NULL,                     -- minus the priority
    due double precision NOT NULL,            -- when a delayed one is ready, when a lease ends
    at double precision NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    leases bigint NOT NULL DEFAULT 0,         -- the number of the last one
    held boolean NOT NULL DEFAULT false,      -- whether that one still counts
    lease double precision NOT NULL DEFAULT 0,
    died bigint,                              -- the order of dying
    key text,
    "group" text,
    reason text,
    payload text NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.1);
CREATE SEQUENCE queue_deaths OWNED BY queue_messages.died;
CREATE INDEX queue_ready ON queue_messages (queue, rank, id) WHERE place = 'ready';
CREATE INDEX queue_timed ON queue_messages (queue, due) WHERE place IN ('delayed', 'leased');
CREATE INDEX queue_dead ON queue_messages (queue, died) WHERE place = 'dead';
CREATE INDEX queue_keys ON queue_messages (queue, key) WHERE key IS NOT NULL AND place <> 'dead';
CREATE INDEX queue_groups ON queue_messages (queue, "group", place, id)
    WHERE "group" IS NOT NULL AND place <> 'dead';
""",
    """
CREATE TABLE queue_topics (
    serial bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    trimmed bigint NOT NULL DEFAULT 0,        -- entries up to there are forgotten
    last bigint NOT NULL DEFAULT 0,
    settings text
) WITH (fillfactor = 50);
CREATE TABLE queue_log (
    topic bigint NOT NULL,
    position bigint NOT NULL,
    at double precision NOT NULL,
    payload text NOT NULL,
    PRIMARY KEY (topic, position)
);
ALTER TABLE queues ADD COLUMN topic bigint;      -- of a subscription
ALTER TABLE queues ADD COLUMN position bigint;   -- up to where it was fed
ALTER TABLE queues ADD COLUMN watched_until timestamptz NOT NULL DEFAULT '-infinity';
ALTER TABLE queue_messages ADD COLUMN position bigint;
CREATE INDEX queue_fed ON queue_messages (queue, position) WHERE position IS NOT NULL;
""",
    "ALTER TABLE queue_messages ADD COLUMN given text;  -- its id on the engine it came from",
)

_ALL = "FROM queue_messages WHERE queue = %s"
_SHOWN = "id, payload, attempts, at, CASE WHEN held THEN leases ELSE 0 END, reason, given"
_HOLDER = "id = %s AND queue = %s AND leases = %s AND held"
# The ids come twice: as a plain list, too, so that the planner goes by the primary key.
_GIVEN = (
    'SELECT m.id, m.attempts, m."group" FROM queue_messages m'
    " JOIN unnest(%(ids)s::bigint[], %(leases)s::bigint[]) AS given (id, leases) USING (id)"
    " WHERE m.id = ANY(%(ids)s::bigint[]) AND m.queue = %(queue)s"
    " AND m.leases = given.leases AND m.held"
)

# Takers that wait say so in `watched_until`; nobody else is told, as telling costs a global lock.
_TELL = (
    "SELECT pg_notify('holdfast_queues', serial::text) FROM queues"
    " WHERE {} = %s AND watched_until > now()"
)
TELL = _TELL.format("serial")
TELL_SUBSCRIPTIONS = _TELL.format("topic")
WATCH = "UPDATE queues SET watched_until = now() + make_interval(secs => %s) WHERE serial = %s"

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))"
NOT_WHILE_PURGED = "SELECT 1 FROM queues WHERE serial = %s FOR KEY SHARE"

PUT_PLAIN = (
    "INSERT INTO queue_messages (queue, place, rank, due, at, payload)"
    " VALUES (%s, 'ready', 0, 0, %s, %s)"
    f" RETURNING id, ({TELL})"
)
PUT_MANY = (
    "INSERT INTO queue_messages (queue, place, rank, due, at, payload)"
    " SELECT %s, 'ready', 0, 0, %s, given.payload"
    " FROM unnest(%s::text[]) WITH ORDINALITY AS given (payload, n) ORDER BY n"
    f" RETURNING id, ({TELL})"
)
RESERVE = "SELECT nextval('queue_messages_id_seq') FROM generate_series(1, %s)"
COPY = "COPY queue_messages (id, queue, place, rank, due, at, payload) FROM STDIN"
PUT = (
    'INSERT INTO queue_messages (queue, place, rank, due, at, key, "group", position, payload)'
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id"
)
PUT_AS = (
    'INSERT INTO queue_messages (queue, place, rank, due, at, key, "group", position, payload, id)'
    " OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id"
)
WITH_KEY = f"SELECT id {_ALL} AND key = %s AND place <> 'dead' ORDER BY id LIMIT 1"

GROUP_IN_PLAY = (
    f"SELECT 1 {_ALL} AND \"group\" = %s AND place <> 'dead'"
    " AND place IN ('ready', 'delayed', 'leased') LIMIT 1"
)
FOLLOW = (
    "UPDATE queue_messages SET place = CASE WHEN due > 0 THEN 'delayed' ELSE 'ready' END"
    f" WHERE id = (SELECT id {_ALL} AND \"group\" = %s AND place <> 'dead' AND place = 'blocked'"
    " ORDER BY id LIMIT 1)"
)

SHORTEN = (
    "UPDATE queue_messages SET due = %s + lease"
    " WHERE queue = %s AND place = 'leased' AND due > %s + lease"
)
PROMOTE = (
    "UPDATE queue_messages SET place = 'ready' WHERE id = ANY(ARRAY("
    f"SELECT id {_ALL} AND place IN ('delayed', 'leased') AND due <= %s ORDER BY id FOR UPDATE))"
    " AND place IN ('delayed', 'leased')"
)
# A take need not be on the disk: what a crash of the server forgets of it is given out again. The
# number of a lease is the time if that is higher, so that a forgotten one never fits a later lease.
# Rows are of one kind: leased now; or spent, which have to be buried first; or one that says that
# something is late, which has to be made ready first. Either may come before what is ready.
TAKE = """
WITH late AS (
    SELECT 1 FROM queue_messages
    WHERE queue = %(queue)s AND place IN ('delayed', 'leased') AND due <= %(now)s LIMIT 1
), picked AS (
    SELECT id, held AND attempts >= %(max_attempts)s AS spent FROM queue_messages
    WHERE queue = %(queue)s AND place = 'ready' AND NOT EXISTS (SELECT 1 FROM late)
        AND NOT (SELECT paused FROM queues WHERE serial = %(queue)s)
        AND (SELECT set_config('synchronous_commit', 'off', true)) = 'off'
    ORDER BY rank, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE queue_messages m SET place = 'leased', due = %(until)s, lease = %(lease)s,
        attempts = attempts + 1, held = true,
        leases = greatest(leases + 1, (%(now)s::double precision * 1000000)::bigint)
    FROM picked WHERE m.id = picked.id AND NOT EXISTS (SELECT 1 FROM picked WHERE spent)
    RETURNING m.rank, 'leased' AS kind, m.id, payload, attempts, at, leases, reason, given
)
SELECT kind, id, payload, attempts, at, leases, reason, given FROM (
    SELECT * FROM taken
    UNION ALL SELECT 0, 'spent', id, '', 0, 0, 0, NULL, NULL FROM picked WHERE spent
    UNION ALL SELECT 0, 'late', 0, '', 0, 0, 0, NULL, NULL FROM late
        WHERE NOT (SELECT paused FROM queues WHERE serial = %(queue)s)
) AS found ORDER BY rank, id
"""
SPENT = (
    'SELECT id, attempts, "group" FROM queue_messages'
    " WHERE id = ANY(%s) AND place = 'ready' AND held AND attempts >= %s ORDER BY id FOR UPDATE"
)
BURY = (
    "UPDATE queue_messages SET place = 'dead', held = false, reason = %s,"
    " died = nextval('queue_deaths') WHERE id = %s"
)

HOLDERS = f"{_GIVEN} ORDER BY m.id FOR UPDATE OF m"
ACK = f'DELETE FROM queue_messages WHERE {_HOLDER} AND "group" IS NULL'
ACK_MANY = (
    f'WITH held AS ({_GIVEN} AND m."group" IS NULL ORDER BY m.id FOR UPDATE OF m)'
    " DELETE FROM queue_messages WHERE id IN (SELECT id FROM held)"
    " AND (SELECT count(*) FROM held) = %(count)s"
)
NACK = (
    "UPDATE queue_messages SET place = %s, due = %s, reason = %s, held = false"
    f" WHERE {_HOLDER} AND attempts < %s RETURNING ({TELL})"
)
RELEASE = (
    "UPDATE queue_messages m SET place = 'ready', held = false, attempts = m.attempts - 1"
    f" FROM ({_GIVEN} ORDER BY m.id FOR UPDATE OF m) AS held WHERE m.id = held.id"
    f" RETURNING ({TELL.replace('%s', '%(queue)s')})"
)
EXTEND = f"UPDATE queue_messages SET place = 'leased', due = %s, lease = %s WHERE {_HOLDER}"

NEXT_DUE = f"SELECT min(due) {_ALL} AND place IN ('delayed', 'leased')"
PEEK = f"SELECT {_SHOWN} {_ALL} AND place = 'ready' ORDER BY rank, id LIMIT %s"
DEAD = f"SELECT {_SHOWN} {_ALL} AND place = 'dead' ORDER BY died LIMIT %s"
ALL = f"SELECT {_SHOWN} {_ALL} ORDER BY id"
REQUEUED = (
    f"SELECT id, \"group\", given {_ALL} AND place = 'dead'"
    " AND (%s::bigint[] IS NULL OR id = ANY(%s::bigint[]) OR given = ANY(%s::text[]))"
    " ORDER BY died FOR UPDATE"
)
REVIVE = "UPDATE queue_messages SET place = %s, due = 0, attempts = 0, died = NULL WHERE id = %s"

_SOME = "SELECT count(*) FROM (SELECT 1 FROM queue_messages WHERE queue = %(queue)s AND"
DEPTH = f"""
SELECT ({_SOME} place = 'ready' LIMIT %(limit)s) a)
    + ({_SOME} place IN ('delayed', 'leased') LIMIT %(limit)s) b)
    + ({_SOME} "group" IS NOT NULL AND place <> 'dead' AND place = 'blocked' LIMIT %(limit)s) c)
"""
STATS = """
SELECT count(*) FILTER (
        WHERE place = 'ready' OR (place IN ('delayed', 'leased') AND due <= %(now)s)),
    count(*) FILTER (WHERE place = 'delayed' AND due > %(now)s),
    count(*) FILTER (WHERE place = 'leased' AND due > %(now)s),
    count(*) FILTER (WHERE place = 'dead'),
    count(*) FILTER (WHERE place = 'blocked'),
    (SELECT paused FROM queues WHERE serial = %(queue)s),
    min(at) FILTER (WHERE place <> 'dead')
FROM queue_messages WHERE queue = %(queue)s
"""

DEAD_IDS = f"SELECT id {_ALL} AND place = 'dead' ORDER BY died"
EXPORT = f"SELECT {EXPORTED} {_ALL} AND id > %s ORDER BY id LIMIT %s"
TAKE_OVER = f"COPY queue_messages (queue, {TAKEN_OVER}) FROM STDIN"
# So that what dies later comes after those that were taken over.
KEEP_DEATHS_BELOW = (
    "SELECT setval('queue_deaths', %s)"
    " WHERE coalesce(pg_sequence_last_value('queue_deaths'::regclass), 0) < %s"
)
