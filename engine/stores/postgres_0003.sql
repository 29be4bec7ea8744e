-- Tasks of activities, until they are answered.

CREATE TABLE activity_tasks (
    token     text PRIMARY KEY,
    activity  text NOT NULL,          -- its ARN
    execution text NOT NULL,          -- the name of the execution that waits
    input     text NOT NULL,
    queued_at float8 NOT NULL,
    taken_at  float8,                   -- NULL: it waits for somebody to ask
    worker    text
);

CREATE INDEX activity_tasks_waiting ON activity_tasks (activity, queued_at) WHERE taken_at IS NULL;
CREATE INDEX activity_tasks_of ON activity_tasks (execution);
