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
WHERE status = ? AND started_at >= ? AND started_at < ? AND (started_at > ? OR id > ?) AND stopped_at < ?
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
