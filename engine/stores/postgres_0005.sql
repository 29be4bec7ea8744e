-- Map runs: the children of a distributed Map are executions of their own, counted in one row.

CREATE TABLE map_runs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution   bigint NOT NULL,      -- the parent
    token       text NOT NULL,         -- its call that waits for the end of the run
    name        text NOT NULL,         -- the last part of its ARN
    state       text NOT NULL,         -- the Map
    status      text NOT NULL CHECK (status IN ('RUNNING', 'SUCCEEDED', 'FAILED', 'ABORTED')),
    total       bigint NOT NULL,
    concurrency bigint NOT NULL,      -- most children at once; 0: all
    tolerated   bigint NOT NULL,      -- how many may fail
    created     bigint NOT NULL,      -- how many have a row
    begun       bigint NOT NULL,      -- the first item whose child is not let in yet
    running     bigint NOT NULL,      -- let in, and not over; what is in no count is pending
    succeeded   bigint NOT NULL,
    failed      bigint NOT NULL,
    aborted     bigint NOT NULL
) WITH (fillfactor = 50);

CREATE UNIQUE INDEX map_runs_of ON map_runs (execution, token);

ALTER TABLE executions ADD COLUMN map_run bigint;  -- of a child of a map run: which one, and which item
ALTER TABLE executions ADD COLUMN item bigint;

CREATE INDEX executions_of_map_run ON executions (map_run, item) WHERE map_run IS NOT NULL;

-- Lists leave out the children of map runs.
DROP INDEX executions_by_start;
DROP INDEX executions_by_status;
CREATE INDEX executions_by_start ON executions (started_at DESC) WHERE map_run IS NULL;
CREATE INDEX executions_by_status ON executions (status, started_at DESC) WHERE map_run IS NULL;
