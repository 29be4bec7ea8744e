-- Tasks of activities, until they are answered.

CREATE TABLE activity_tasks (
    token     TEXT PRIMARY KEY,
    activity  TEXT NOT NULL,          -- its ARN
    execution TEXT NOT NULL,          -- the name of the execution that waits
    input     TEXT NOT NULL,
    queued_at REAL NOT NULL,
    taken_at  REAL,                   -- NULL: it waits for somebody to ask
    worker    TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX activity_tasks_waiting ON activity_tasks (activity, queued_at) WHERE taken_at IS NULL;
CREATE INDEX activity_tasks_of ON activity_tasks (execution);
