-- name: put_definition
INSERT INTO definitions (hash, source, file, created_at) VALUES (?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING;

-- name: definition
SELECT source, file FROM definitions WHERE hash = ?;

-- name: start
INSERT INTO executions (name, flow, status, version, owner, wakes_at, state, events, sequence, runs, started_at, stopped_at,
    error, definition, header, cause, frame, input, output)
VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING;

-- name: input_of
SELECT input FROM executions WHERE name = ?;

-- name: advance
UPDATE executions SET version = version + 1, state = ifnull(?, state), events = ?, sequence = ?, runs = ?,
    frame = ifnull(?, frame)
WHERE id = ? AND version = ? AND owner = ?;

-- name: park
UPDATE executions SET owner = NULL, wakes_at = CASE WHEN paused_at IS NOT NULL THEN NULL WHEN wakes_at = 0 THEN 0 ELSE ? END,
    parked = ?, version = version + 1, state = ifnull(?, state), events = ?, sequence = ?, runs = ?, frame = ifnull(?, frame)
WHERE id = ? AND version = ? AND owner = ?;

-- name: finish
UPDATE executions SET owner = NULL, wakes_at = NULL, paused_at = NULL, version = version + 1, state = NULL,
    frame = CASE WHEN ? THEN ifnull(?, frame) END, status = ?,
    stopped_at = ?, error = ?, cause = ?, output = ?, events = ?, sequence = ?, runs = ?
WHERE id = ? AND version = ? AND owner = ?;

-- name: held
SELECT id, version FROM executions WHERE owner = ? AND id IN (SELECT value FROM json_each(?));

-- name: reopen
UPDATE executions SET version = version + 1, owner = NULL, status = ?, wakes_at = ?, state = ?, frame = ?, events = ?,
    sequence = ?, runs = ?, stopped_at = ?, error = ?, cause = ?, output = ?, definition = ?, header = ?
WHERE id = ? AND version = ? AND status <> 'RUNNING';

-- name: put_frame
INSERT INTO frames (execution, path, body) VALUES (?, ?, ?) ON CONFLICT (execution, path) DO UPDATE SET body = excluded.body;

-- name: drop_frame
DELETE FROM frames WHERE execution = ? AND path = ?;

-- name: append_history
INSERT INTO history (execution, first_id, events) VALUES (?, ?, ?);

-- name: answer_signal
DELETE FROM signals WHERE id = ?;

-- name: enter
INSERT INTO owners (id, lease_until, process, since) VALUES (?, ?, ?, ?);

-- name: extend
UPDATE owners SET lease_until = ? WHERE id = ?;

-- name: others
SELECT id, lease_until FROM owners WHERE id <> ?;

-- name: owner
SELECT lease_until, process FROM owners WHERE id = ?;

-- name: bury
DELETE FROM owners WHERE id = ?;

-- name: free
UPDATE executions SET owner = NULL, wakes_at = CASE WHEN paused_at IS NULL THEN 0 END, version = version + 1 WHERE owner = ?;

-- name: strays
SELECT DISTINCT owner FROM executions WHERE owner IS NOT NULL AND owner NOT IN (SELECT id FROM owners);

-- name: stale_signals
SELECT 1 FROM signals s JOIN executions e ON e.id = s.execution WHERE e.status <> 'RUNNING' LIMIT 1;

-- name: drop_stale_signals
DELETE FROM signals WHERE execution IN (SELECT id FROM executions WHERE status <> 'RUNNING');

-- name: claim
UPDATE executions SET owner = ?1, wakes_at = NULL, parked = NULL, version = version + 1, runs = runs + 1
WHERE id IN (SELECT id FROM executions WHERE owner IS NULL AND wakes_at <= ?2 ORDER BY wakes_at LIMIT ?3)
RETURNING id;

-- name: any_due
SELECT 1 FROM executions WHERE owner IS NULL AND wakes_at <= ? LIMIT 1;

-- name: take
UPDATE executions SET owner = ?, wakes_at = NULL, parked = NULL, version = version + 1, runs = runs + 1 WHERE id = ?;

-- name: next_due
SELECT min(wakes_at) FROM executions WHERE owner IS NULL AND wakes_at IS NOT NULL;

-- name: find
SELECT id, owner, status FROM executions WHERE name = ?;

-- name: load
SELECT id, name, status, version, runs, events, sequence, started_at, stopped_at, error, cause, definition, header, frame,
    input, output
FROM executions WHERE id IN (SELECT value FROM json_each(?));

-- name: load_frames
SELECT execution, body FROM frames WHERE execution IN (SELECT value FROM json_each(?));

-- name: load_history
SELECT events FROM history WHERE execution = ? ORDER BY first_id;

-- name: tell
INSERT INTO signals (execution, event) SELECT id, ? FROM executions WHERE name = ? AND status = 'RUNNING';

-- name: wake_running
UPDATE executions SET wakes_at = CASE WHEN owner IS NOT NULL OR paused_at IS NULL THEN 0 END WHERE name = ? AND status = 'RUNNING';

-- name: signals
SELECT id, execution, event FROM signals WHERE execution IN (SELECT id FROM executions WHERE owner = ?) ORDER BY id;

-- name: count_before_map_runs
SELECT status, count(*) FROM executions GROUP BY status;

-- name: count_due
SELECT count(*) FROM executions WHERE owner IS NULL AND wakes_at <= ?;

-- name: owners
SELECT id, process, since, lease_until FROM owners ORDER BY since;
