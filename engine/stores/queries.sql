-- name: put_definition
INSERT INTO definitions (hash, source, file, created_at) VALUES (?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING;

-- name: insert_execution
INSERT INTO executions (name, definition, flow, status, version, header, input, output, error, cause, started_at, stopped_at)
VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?);

-- name: update_execution
UPDATE executions SET status = ?, version = version + 1, header = ?, output = ?, error = ?, cause = ?, stopped_at = ?
WHERE name = ? AND version = ?;

-- name: load_execution
SELECT e.header, e.input, e.output, e.version, d.source, d.file FROM executions e JOIN definitions d ON d.hash = e.definition
WHERE e.name = ?;

-- name: load_frames
SELECT body FROM frames WHERE execution = ?;

-- name: put_frame
INSERT INTO frames (execution, path, state, wait, wakes_at, body) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (execution, path) DO UPDATE SET
    state = excluded.state, wait = excluded.wait, wakes_at = excluded.wakes_at, body = excluded.body;

-- name: drop_frame
DELETE FROM frames WHERE execution = ? AND path = ?;

-- name: append_history
INSERT INTO history (execution, first_id, events) VALUES (?, ?, ?);

-- name: load_history
SELECT events FROM history WHERE execution = ? ORDER BY first_id;

-- name: list_executions
SELECT e.name, e.flow, e.status, e.started_at, e.stopped_at, e.error,
    (SELECT f.state FROM frames f WHERE f.execution = e.name AND f.path = '0') AS state
FROM executions e
WHERE (?1 IS NULL OR e.status = ?1) AND e.started_at >= ?2
ORDER BY e.started_at DESC, e.name LIMIT ?3;
