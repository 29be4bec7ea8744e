-- Map runs: the children of a distributed Map are executions of their own, counted in one row.

CREATE TABLE map_runs (
    id          INTEGER PRIMARY KEY,
    execution   INTEGER NOT NULL,      -- the parent
    token       TEXT NOT NULL,         -- its call that waits for the end of the run
    name        TEXT NOT NULL,         -- the last part of its ARN
    state       TEXT NOT NULL,         -- the Map
    status      TEXT NOT NULL CHECK (status IN ('RUNNING', 'SUCCEEDED', 'FAILED', 'ABORTED')),
    total       INTEGER NOT NULL,
    concurrency INTEGER NOT NULL,      -- most children at once; 0: all
    tolerated   INTEGER NOT NULL,      -- how many may fail
    created     INTEGER NOT NULL,      -- how many have a row
    begun       INTEGER NOT NULL,      -- the first item whose child is not let in yet
    running     INTEGER NOT NULL,      -- let in, and not over; what is in no count is pending
    succeeded   INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    aborted     INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX map_runs_of ON map_runs (execution, token);

ALTER TABLE executions ADD COLUMN map_run INTEGER;  -- of a child of a map run: which one, and which item
ALTER TABLE executions ADD COLUMN item INTEGER;

CREATE INDEX executions_of_map_run ON executions (map_run, item) WHERE map_run IS NOT NULL;

-- Lists leave out the children of map runs.
DROP INDEX executions_by_start;
DROP INDEX executions_by_status;
CREATE INDEX executions_by_start ON executions (started_at DESC) WHERE map_run IS NULL;
CREATE INDEX executions_by_status ON executions (status, started_at DESC) WHERE map_run IS NULL;
