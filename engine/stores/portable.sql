-- Statements that both databases understand, for what is not done often. Parameters are `?`, as in steps.

-- name: pause
-- 0 of an owned one: a signal has come.
UPDATE executions SET paused_at = ?, wakes_at = CASE WHEN owner IS NULL THEN NULL ELSE 0 END
WHERE name = ? AND status = 'RUNNING' AND paused_at IS NULL;

-- name: tell_owner
INSERT INTO signals (execution, event) SELECT id, ? FROM executions WHERE name = ? AND owner IS NOT NULL;

-- name: unpause
UPDATE executions SET paused_at = NULL, wakes_at = 0 WHERE name = ? AND paused_at IS NOT NULL;

-- name: untell_owner
DELETE FROM signals WHERE event = ? AND execution = (SELECT id FROM executions WHERE name = ?);

-- name: status_of
SELECT status, paused_at FROM executions WHERE name = ?;

-- name: pauses
SELECT pattern, since, reason FROM pauses ORDER BY pattern;

-- name: pause_step
INSERT INTO pauses (pattern, since, reason) VALUES (?, ?, ?) ON CONFLICT (pattern) DO UPDATE SET reason = excluded.reason;

-- name: unpause_step
DELETE FROM pauses WHERE pattern = ?;

-- name: parked
SELECT id, parked FROM executions WHERE parked IS NOT NULL AND id > ? ORDER BY id LIMIT ?;

-- name: release_stray
UPDATE executions SET wakes_at = ? WHERE id = ? AND parked IS NOT NULL AND wakes_at IS NULL AND owner IS NULL AND paused_at IS NULL;

-- name: release
UPDATE executions SET wakes_at = CASE WHEN wakes_at < ? THEN wakes_at ELSE ? END
WHERE id = ? AND parked IS NOT NULL AND owner IS NULL AND paused_at IS NULL;

-- name: ended
-- What began after the moment cannot have ended before it: so the index by status and start is enough.
SELECT id, started_at, header FROM executions
WHERE status = ? AND started_at >= ? AND started_at < ? AND (started_at > ? OR id > ?) AND stopped_at < ? AND map_run IS NULL
ORDER BY started_at, id LIMIT ?;

-- name: still_ended
SELECT id FROM executions WHERE id IN (?) AND status <> 'RUNNING' AND stopped_at < ?;

-- name: stopped_at
SELECT stopped_at FROM executions WHERE name = ?;

-- name: publish
INSERT INTO versions (flow, number, definition, description, created_at) VALUES (?, ?, ?, ?, ?);

-- name: versions
SELECT number, definition, description, created_at FROM versions WHERE flow = ? ORDER BY number;

-- name: route
INSERT INTO aliases (flow, name, routes, updated_at) VALUES (?, ?, ?, ?)
ON CONFLICT (flow, name) DO UPDATE SET routes = excluded.routes, updated_at = excluded.updated_at;

-- name: aliases
SELECT name, routes FROM aliases WHERE flow = ? ORDER BY name;

-- name: hold_parent
-- Changes nothing, and keeps the row from changing while the transaction lasts.
UPDATE executions SET parked = parked WHERE name = ? AND status = 'RUNNING' RETURNING id, frame;

-- name: frame_of
SELECT body FROM frames WHERE execution = ? AND path = ?;

-- name: add_map_run
INSERT INTO map_runs (execution, token, name, state, status, total, concurrency, tolerated, created, begun, running,
    succeeded, failed, aborted, lost)
VALUES (?, ?, ?, ?, 'RUNNING', ?, ?, ?, 0, 0, 0, 0, 0, 0, 0);

-- name: hold_map_run
UPDATE map_runs SET status = status WHERE id = ?
RETURNING id, token, name, state, status, total, concurrency, tolerated, created, begun, running, succeeded, failed, aborted,
    lost;

-- name: map_run
SELECT m.id, m.token, m.name, m.state, m.status, m.total, m.concurrency, m.tolerated, m.created, m.begun, m.running,
    m.succeeded, m.failed, m.aborted, m.lost
FROM map_runs m JOIN executions e ON e.id = m.execution WHERE e.name = ? AND m.token = ?;

-- name: map_runs
SELECT m.id, m.token, m.name, m.state, m.status, m.total, m.concurrency, m.tolerated, m.created, m.begun, m.running,
    m.succeeded, m.failed, m.aborted, m.lost
FROM map_runs m JOIN executions e ON e.id = m.execution WHERE e.name = ? ORDER BY m.id;

-- name: count_map_run
UPDATE map_runs SET status = ?, created = ?, begun = ?, running = ?, succeeded = ?, failed = ?, aborted = ?, lost = ?
WHERE id = ?;

-- name: pending_children
SELECT item FROM executions
WHERE map_run = ? AND item >= ? AND status = 'RUNNING' AND owner IS NULL AND wakes_at IS NULL ORDER BY item LIMIT ?;

-- name: begin_children
-- A child that has not begun starts when it is let in.
UPDATE executions SET wakes_at = CASE WHEN paused_at IS NULL THEN ? END,
    started_at = CASE WHEN events = 0 THEN ? ELSE started_at END
WHERE map_run = ? AND item >= ? AND item <= ? AND status = 'RUNNING' AND owner IS NULL AND wakes_at IS NULL;

-- name: abort_pending_children
UPDATE executions SET status = 'ABORTED', stopped_at = ?, cause = ?, wakes_at = NULL, paused_at = NULL, version = version + 1
WHERE map_run = ? AND item >= ? AND status = 'RUNNING' AND owner IS NULL AND wakes_at IS NULL;

-- name: abort_unbegun_children
-- Those that are let in, and that nobody has taken up yet.
UPDATE executions SET status = 'ABORTED', stopped_at = ?, cause = ?, wakes_at = NULL, paused_at = NULL, version = version + 1
WHERE map_run = ? AND events = 0 AND status = 'RUNNING' AND owner IS NULL;

-- name: tell_children
INSERT INTO signals (execution, event) SELECT id, ? FROM executions WHERE map_run = ? AND status = 'RUNNING';

-- name: wake_children
-- Only free ones: a row that is owned may be in the hands of a transaction that waits for this one.
UPDATE executions SET wakes_at = 0
WHERE map_run = ? AND status = 'RUNNING' AND owner IS NULL AND paused_at IS NULL;

-- name: wake_child
UPDATE executions SET wakes_at = 0 WHERE id = ? AND owner IS NULL AND paused_at IS NULL;

-- name: results_of
SELECT item, status, output, error, cause, started_at, stopped_at, events, header FROM executions
WHERE map_run = ? AND item >= ? ORDER BY item LIMIT ?;

-- name: succeeded_results
SELECT item, status, output, error, cause, started_at, stopped_at, events, header, length(input) FROM executions
WHERE map_run = ? AND item >= ? AND status = 'SUCCEEDED' ORDER BY item LIMIT ?;

-- name: failed_results
SELECT item, status, output, error, cause, started_at, stopped_at, events, header, length(input) FROM executions
WHERE map_run = ? AND item >= ? AND status <> 'SUCCEEDED' AND events > 0 ORDER BY item LIMIT ?;

-- name: pending_results
-- Those that never began, as far as they have rows.
SELECT item, status, output, error, cause, started_at, stopped_at, events, header, length(input) FROM executions
WHERE map_run = ? AND item >= ? AND status <> 'SUCCEEDED' AND events = 0 ORDER BY item LIMIT ?;

-- name: unmade_from
SELECT coalesce(max(item) + 1, 0) FROM executions WHERE map_run = ?;

-- name: free_children
SELECT c.name FROM map_runs m JOIN executions c ON c.map_run = m.id
WHERE m.execution = ? AND m.status = 'RUNNING' AND c.status = 'RUNNING' AND c.owner IS NULL AND c.wakes_at IS NOT NULL
ORDER BY c.item LIMIT ?;

-- name: owned_child
SELECT c.id FROM map_runs m JOIN executions c ON c.map_run = m.id
WHERE m.execution = ? AND m.status = 'RUNNING' AND c.status = 'RUNNING' AND c.owner <> ? LIMIT 1;

-- name: definition_of
SELECT definition FROM executions WHERE name = ?;

-- name: results_size
SELECT coalesce(sum(length(output)), 0) FROM executions WHERE map_run = ?;

-- name: move_map_run
UPDATE map_runs SET token = ? WHERE id = ?;

-- name: untell_children
DELETE FROM signals WHERE event = ? AND execution IN (SELECT id FROM executions WHERE map_run = ? AND status = 'RUNNING');

-- name: take_children
UPDATE executions SET owner = NULL, wakes_at = CASE WHEN paused_at IS NULL THEN 0 END, version = version + 1
WHERE map_run = ? AND status = 'RUNNING' AND owner IS NOT NULL;

-- name: count_children
SELECT status, count(*) FROM executions WHERE map_run = ? GROUP BY status;

-- name: children_to_redrive
SELECT id, name, status, version, runs, events, sequence, started_at, stopped_at, error, cause, definition, header, frame,
    input, output
FROM executions WHERE map_run = ? AND item >= ? AND item < ? ORDER BY item;

-- name: frames_of
SELECT body FROM frames WHERE execution = ?;

-- name: reopen_pending_child
UPDATE executions SET status = 'RUNNING', stopped_at = NULL, error = NULL, cause = NULL, definition = ?, header = ?,
    version = version + 1
WHERE id = ?;

-- name: hold_back_child
UPDATE executions SET wakes_at = NULL WHERE id = ?;

-- name: ended_children
SELECT c.id, (SELECT count(*) FROM map_runs o WHERE o.execution = c.id)
FROM map_runs m JOIN executions c ON c.map_run = m.id WHERE m.execution = ? AND c.status <> 'RUNNING' LIMIT ?;

-- name: any_child
SELECT c.id FROM map_runs m JOIN executions c ON c.map_run = m.id WHERE m.execution = ? LIMIT 1;

-- name: count
-- Not of the children of map runs: these are counted in their runs.
SELECT status, count(*) FROM executions WHERE map_run IS NULL GROUP BY status;

-- name: count_in_map_runs
SELECT coalesce(sum(total - running - succeeded - failed - aborted), 0), coalesce(sum(running), 0),
    coalesce(sum(succeeded), 0), coalesce(sum(failed), 0), coalesce(sum(aborted), 0)
FROM map_runs;
