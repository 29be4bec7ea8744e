-- Parameters are psycopg's; arrays come in binary (see postgres_arrays.py), one for each column of a batch.

-- name: put_definition
INSERT INTO definitions (hash, source, file, created_at) VALUES (%s, %s, %s, %s) ON CONFLICT (hash) DO NOTHING;

-- name: definition
SELECT source, file FROM definitions WHERE hash = %s;

-- name: start
-- Keys are drawn first, so that the history of what is made is found by them and not by comparing names.
WITH given AS (
    SELECT nextval(pg_get_serial_sequence('executions', 'id')) AS id, g.*
    FROM unnest(%b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b)
        AS g (name, flow, status, owner, wakes_at, state, events, sequence, runs, started_at, stopped_at, error,
            definition, header, cause, frame, input, output, first_id, history)
), mine AS (
    -- Held for as long as this takes: an owner that is given up meanwhile would leave behind what nobody takes up.
    SELECT id FROM owners WHERE id = (SELECT max(owner) FROM given) FOR KEY SHARE
), made AS (
    INSERT INTO executions (id, name, flow, status, version, owner, wakes_at, state, events, sequence, runs, started_at,
        stopped_at, error, definition, header, cause, frame, input, output)
    OVERRIDING SYSTEM VALUE
    SELECT id, name, flow, status, 1, owner, wakes_at, state, events, sequence, runs, started_at, stopped_at, error,
        definition, header, cause, frame, input, output
    FROM given WHERE owner IS NULL OR EXISTS (SELECT FROM mine)
    ON CONFLICT (name) DO NOTHING RETURNING id, name
), told AS (
    INSERT INTO history (execution, first_id, events)
    SELECT id, first_id, history FROM given WHERE id = ANY(ARRAY(SELECT id FROM made))
)
SELECT name, id FROM made;

-- name: inputs_of
SELECT name, input FROM executions WHERE name = ANY(%b);

-- name: commit
-- IS NOT DISTINCT FROM keeps the planner from reading everything that the owner has: rows are found by their keys.
WITH given AS (
    SELECT * FROM unnest(%b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b)
        AS g (id, version, kept, wakes_at, status, state, events, sequence, runs, stopped_at, error, cause, frame, output,
            parked, first_id, history)
), changed AS (
    UPDATE executions e SET version = e.version + 1, status = g.status, events = g.events, sequence = g.sequence,
        runs = g.runs, stopped_at = g.stopped_at, error = g.error, cause = g.cause, output = g.output,
        state = CASE WHEN g.status = 'RUNNING' THEN coalesce(g.state, e.state) END,
        frame = CASE WHEN g.status <> 'SUCCEEDED' THEN coalesce(g.frame, e.frame) END,
        owner = CASE WHEN g.kept = 1 THEN e.owner END,
        parked = g.parked,
        paused_at = CASE WHEN g.status = 'RUNNING' THEN e.paused_at END,
        wakes_at = CASE WHEN g.kept = 1 THEN e.wakes_at WHEN g.status <> 'RUNNING' OR e.paused_at IS NOT NULL THEN NULL
            WHEN e.wakes_at = 0 THEN 0 ELSE g.wakes_at END
    FROM given g WHERE e.id = g.id AND e.version = g.version AND e.owner IS NOT DISTINCT FROM %s
    RETURNING e.id, g.first_id, g.history
), told AS (
    INSERT INTO history (execution, first_id, events)
    SELECT id, first_id, history FROM changed WHERE history IS NOT NULL
)
SELECT id FROM changed;

-- name: reopen
UPDATE executions SET version = version + 1, owner = NULL, status = %s, wakes_at = %s, state = %s, frame = %s, events = %s,
    sequence = %s, runs = %s, stopped_at = %s, error = %s, cause = %s, output = %s, definition = %s, header = %s
WHERE id = %s AND version = %s AND status <> 'RUNNING';

-- name: put_frames
INSERT INTO frames (execution, path, body) SELECT * FROM unnest(%b, %b, %b)
ON CONFLICT (execution, path) DO UPDATE SET body = excluded.body;

-- name: drop_frames
DELETE FROM frames f USING unnest(%b, %b) AS g (execution, path) WHERE f.execution = g.execution AND f.path = g.path;

-- name: append_history
INSERT INTO history (execution, first_id, events) VALUES (%s, %s, %s);

-- name: answer_signals
DELETE FROM signals WHERE id = ANY(%b);

-- name: was_changed
SELECT FROM executions e WHERE id = %s AND version = %s AND EXISTS (SELECT FROM owners o WHERE o.id = %s);

-- name: was_started
SELECT FROM executions WHERE name = %s AND started_at = %s
    AND (SELECT me.id IS NULL OR EXISTS (SELECT FROM owners o WHERE o.id = me.id) FROM (SELECT %s::bigint AS id) me);

-- name: keys_of
SELECT e.name, e.id FROM unnest(%b, %b) AS g (name, started_at) JOIN executions e USING (name, started_at);

-- name: enter
INSERT INTO owners (id, lease_until, process, since)
VALUES (%s, extract(epoch FROM clock_timestamp()) + %s, %s, extract(epoch FROM clock_timestamp()));

-- name: extend
UPDATE owners SET lease_until = extract(epoch FROM clock_timestamp()) + %s WHERE id = %s;

-- name: gone
SELECT id FROM owners WHERE id <> %s
    AND (coalesce(lease_until < extract(epoch FROM clock_timestamp()), false) OR pg_try_advisory_xact_lock(id));

-- name: owner
SELECT lease_until < extract(epoch FROM clock_timestamp()), process FROM owners WHERE id = %s;

-- name: hold_owner
SELECT FROM owners WHERE id = %s FOR KEY SHARE;

-- name: bury
DELETE FROM owners WHERE id = ANY(%b);

-- name: free
UPDATE executions SET owner = NULL, wakes_at = CASE WHEN paused_at IS NULL THEN 0 END, version = version + 1 WHERE owner = ANY(%b);

-- name: strays
SELECT DISTINCT owner FROM executions e
WHERE owner IS NOT NULL AND NOT EXISTS (SELECT FROM owners o WHERE o.id = e.owner);

-- name: drop_stale_signals
DELETE FROM signals s USING executions e WHERE e.id = s.execution AND e.status <> 'RUNNING';

-- name: claim
-- One trip. The row of the owner is held for as long as this takes, so that nobody can give the owner up meanwhile.
WITH mine AS (
    SELECT id FROM owners WHERE id = %s FOR KEY SHARE
), due AS (
    SELECT id FROM executions WHERE owner IS NULL AND wakes_at <= %s ORDER BY wakes_at LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE executions e SET owner = mine.id, wakes_at = NULL, parked = NULL, version = e.version + 1, runs = e.runs + 1
FROM mine, due WHERE e.id = due.id RETURNING e.id;

-- name: take
UPDATE executions SET owner = %s, wakes_at = NULL, parked = NULL, version = version + 1, runs = runs + 1 WHERE id = %s;

-- name: next_due
SELECT min(wakes_at) FROM executions WHERE owner IS NULL AND wakes_at IS NOT NULL;

-- name: find
SELECT id, owner, status FROM executions WHERE name = %s;

-- name: find_for_update
SELECT id, owner, status FROM executions WHERE name = %s FOR UPDATE;

-- name: load
SELECT id, name, status, version, runs, events, sequence, started_at, stopped_at, error, cause, definition, header, frame,
    input, output
FROM executions WHERE id = ANY(%b);

-- name: load_frames
SELECT execution, body FROM frames WHERE execution = ANY(%b);

-- name: load_history
SELECT events FROM history WHERE execution = %s ORDER BY first_id;

-- name: tell
WITH told AS (
    INSERT INTO signals (execution, event) SELECT id, %s FROM executions WHERE name = %s AND status = 'RUNNING'
)
UPDATE executions SET wakes_at = CASE WHEN owner IS NOT NULL OR paused_at IS NULL THEN 0 END WHERE name = %s AND status = 'RUNNING';

-- name: signals
SELECT s.id, s.execution, s.event FROM signals s JOIN executions e ON e.id = s.execution WHERE e.owner = %s ORDER BY s.id;

-- name: count_before_map_runs
SELECT status, count(*) FROM executions GROUP BY status;

-- name: count_due
SELECT count(*) FROM executions WHERE owner IS NULL AND wakes_at <= %s;

-- name: owners
SELECT process, since, coalesce(lease_until > extract(epoch FROM clock_timestamp()), true) AND NOT pg_try_advisory_xact_lock(id)
FROM owners ORDER BY since;

-- name: size
SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
WHERE relkind = 'r' AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'executions'::regclass);
