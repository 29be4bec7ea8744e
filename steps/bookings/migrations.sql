-- Writers of SQLite take turns by themselves; on PostgreSQL whoever migrates holds a lock until the commit.
-- name: lock
SELECT 1;
-- name: lock on postgresql
SELECT pg_advisory_xact_lock(hashtext('booking_schema'));

-- name: create_version
CREATE TABLE IF NOT EXISTS booking_schema (version INTEGER NOT NULL);

-- name: version
SELECT COALESCE(MAX(version), 0) AS version FROM booking_schema;

-- name: drop_version
DELETE FROM booking_schema;

-- name: put_version
INSERT INTO booking_schema (version) VALUES (:version);
