"""The tables of events in PostgreSQL, and the functions that append."""

from typing import LiteralString

# Advisory locks of two numbers: "hold", and which one of the room.
_ROOM: LiteralString = "1752132708"
LOCK_APPENDS: LiteralString = f"SELECT pg_advisory_xact_lock({_ROOM}, 1)"
LOCK_TO_LISTEN: LiteralString = f"SELECT pg_advisory_lock_shared({_ROOM}, 2)"
CHANNEL: LiteralString = "holdfast_events"

_TABLES = """
CREATE TABLE events (
    position bigint PRIMARY KEY,
    stream varchar COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    type varchar NOT NULL,
    body text NOT NULL,
    UNIQUE (stream, version)
);
CREATE TABLE event_keys (
    stream varchar COLLATE "C" NOT NULL,
    key varchar COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (stream, key)
);
CREATE TABLE event_head (lone boolean PRIMARY KEY CHECK (lone), position bigint NOT NULL);
INSERT INTO event_head VALUES (true, 0);
CREATE TABLE event_states (
    kind varchar NOT NULL,
    name varchar NOT NULL,
    at bigint NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE TABLE event_archives (
    stream varchar COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    note text NOT NULL
);
"""

# Version 1 had a function that raised the row of event_head for every append. A row that is written
# so often gets slow as soon as somebody holds a snapshot; now it is a floor that archiving raises.
_FIRST_FUNCTION = """
CREATE FUNCTION event_append(
    a_stream varchar, types varchar[], bodies text[], expect bigint, a_key varchar
) RETURNS TABLE (last_version bigint, last_position bigint) LANGUAGE plpgsql AS $$
BEGIN RETURN; END $$;
"""

# The lock is held to the end of the transaction, and puts appends in their order.
_LOCK = f"PERFORM pg_advisory_xact_lock({_ROOM}, 1);"
_FIND_PLACE = """
    SELECT coalesce((SELECT max(e.version) FROM holdfast.events e WHERE e.stream = a_stream), 0),
        greatest((SELECT max(e.position) FROM holdfast.events e), h.position),
        EXISTS (SELECT 1 FROM holdfast.event_archives a WHERE a.stream = a_stream)
        INTO before, head, archived FROM holdfast.event_head h;
    IF archived OR expect <> before THEN
        RETURN;
    END IF;
"""
# Whoever listens holds this lock shared; so it cannot be had, and only then it costs something.
_TELL = f"""
    IF NOT pg_try_advisory_xact_lock({_ROOM}, 2) THEN
        PERFORM pg_notify('{CHANNEL}', '');
    END IF;
"""
_FUNCTIONS = f"""
DROP FUNCTION event_append;
CREATE FUNCTION append_event(
    a_stream varchar, type varchar, body text, expect bigint, a_key varchar,
    OUT last_version bigint, OUT last_position bigint
) LANGUAGE plpgsql AS $$
DECLARE
    before bigint;
    head bigint;
    archived boolean;
BEGIN
    {_LOCK}
    IF a_key IS NOT NULL THEN
        SELECT k.version, k.position INTO last_version, last_position FROM holdfast.event_keys k
            WHERE k.stream = a_stream AND k.key = a_key;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    {_FIND_PLACE}
    INSERT INTO holdfast.events VALUES (head + 1, a_stream, before + 1, type, body);
    IF a_key IS NOT NULL THEN
        INSERT INTO holdfast.event_keys VALUES (a_stream, a_key, before + 1, head + 1);
    END IF;
    last_version := before + 1;
    last_position := head + 1;
    {_TELL}
END $$;
CREATE FUNCTION append_events(
    a_stream varchar, types varchar[], bodies text[], expect bigint,
    OUT last_version bigint, OUT last_position bigint
) LANGUAGE plpgsql AS $$
DECLARE
    before bigint;
    head bigint;
    archived boolean;
BEGIN
    {_LOCK}
    {_FIND_PLACE}
    INSERT INTO holdfast.events
        SELECT head + n, a_stream, before + n, t, b
        FROM unnest(types, bodies) WITH ORDINALITY AS new (t, b, n);
    last_version := before + cardinality(types);
    last_position := head + cardinality(types);
    {_TELL}
END $$;
"""

MIGRATIONS = (_TABLES + _FIRST_FUNCTION, _FUNCTIONS)
