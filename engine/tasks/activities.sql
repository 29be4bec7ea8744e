-- The queue of activities. `?` is a parameter on every database.

-- name: queue
INSERT INTO activity_tasks (token, activity, execution, input, queued_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (token) DO NOTHING;

-- name: first
SELECT token, input FROM activity_tasks WHERE activity = ? AND taken_at IS NULL ORDER BY queued_at, token LIMIT 1;

-- name: take
UPDATE activity_tasks SET taken_at = ?, worker = ? WHERE token = ? AND taken_at IS NULL RETURNING token;

-- name: drop
DELETE FROM activity_tasks WHERE token = ?;
