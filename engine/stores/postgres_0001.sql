-- Tables of the engine on PostgreSQL. Times are seconds since the epoch; bodies are JSON text in ASCII.

CREATE TABLE definitions (            -- flows by the hash of their content; a running execution keeps its own
    hash       text PRIMARY KEY,
    source     text NOT NULL,
    file       text,
    created_at float8 NOT NULL
);

CREATE TABLE owners (                 -- processes that run executions; each holds the advisory lock `id`
    id          bigint PRIMARY KEY,
    lease_until float8,               -- by the clock of this server; NULL: the lock alone says whether it lives
    process     text NOT NULL,        -- for people: process id and host
    since       float8 NOT NULL
);

CREATE TABLE executions (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    flow       text NOT NULL,
    status     text NOT NULL CHECK (status IN ('RUNNING', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'ABORTED')),
    version    bigint NOT NULL,       -- grows with every decision and claim; a commit names the one it read
    owner      bigint,                -- who runs it; NULL: nobody does
    wakes_at   float8,                -- of a free one, when it next needs somebody; NULL: only a signal can move it;
                                      -- 0 of an owned one: a signal has come, so do not leave it alone
    state      text,                  -- of the root, while it runs
    events     bigint NOT NULL,       -- id of the latest history event
    sequence   bigint NOT NULL,       -- the latest token
    runs       bigint NOT NULL,       -- how many times somebody has taken it up
    started_at float8 NOT NULL,
    stopped_at float8,
    error      text,
    definition text NOT NULL,
    header     text NOT NULL,         -- what never changes and has no column
    cause      text,
    frame      text,                  -- of the root; further frames have rows of their own
    input      text NOT NULL,
    output     text
) WITH (fillfactor = 70);             -- room to write the next version of a row beside it, without touching an index

CREATE INDEX executions_by_start ON executions (started_at DESC);
CREATE INDEX executions_by_status ON executions (status, started_at DESC);
CREATE INDEX executions_due ON executions (wakes_at) WHERE owner IS NULL AND wakes_at IS NOT NULL;
CREATE INDEX executions_owned ON executions (owner) WHERE owner IS NOT NULL;

CREATE TABLE frames (                 -- one row per branch or iteration: a wide Map never rewrites its siblings
    execution bigint NOT NULL,
    path      text NOT NULL,
    body      text NOT NULL,
    PRIMARY KEY (execution, path)
);

CREATE TABLE history (                -- one row per decision, appended: a list of [id, previous, time, type, details]
    execution bigint NOT NULL,
    first_id  bigint NOT NULL,
    events    text NOT NULL,
    PRIMARY KEY (execution, first_id)
);

CREATE TABLE signals (                -- what others want of an execution, until its owner has answered it
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution bigint NOT NULL,
    event     text NOT NULL
);

CREATE INDEX signals_of ON signals (execution);
