-- Tables of the engine on SQLite. Times are seconds since the epoch; bodies are JSON text in ASCII.
-- Small columns stand first: a list of executions never reads the large ones.

CREATE TABLE definitions (            -- flows by the hash of their content; a running execution keeps its own
    hash       TEXT PRIMARY KEY,
    source     TEXT NOT NULL,
    file       TEXT,
    created_at REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE owners (                 -- processes that run executions; each holds the lock of the byte `id`
    id          INTEGER PRIMARY KEY,
    lease_until REAL,                 -- NULL: the lock alone says whether it lives
    process     TEXT NOT NULL,        -- for people: process id and host
    since       REAL NOT NULL
) STRICT;

CREATE TABLE executions (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    flow       TEXT NOT NULL,
    status     TEXT NOT NULL CHECK (status IN ('RUNNING', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'ABORTED')),
    version    INTEGER NOT NULL,      -- grows with every decision and claim; a commit names the one it read
    owner      INTEGER,               -- who runs it; NULL: nobody does
    wakes_at   REAL,                  -- of a free one, when it next needs somebody; NULL: only a signal can move it;
                                      -- 0 of an owned one: a signal has come, so do not leave it alone
    state      TEXT,                  -- of the root, while it runs
    events     INTEGER NOT NULL,      -- id of the latest history event
    sequence   INTEGER NOT NULL,      -- the latest token
    runs       INTEGER NOT NULL,      -- how many times somebody has taken it up
    started_at REAL NOT NULL,
    stopped_at REAL,
    error      TEXT,
    definition TEXT NOT NULL,
    header     TEXT NOT NULL,         -- what never changes and has no column
    cause      TEXT,
    frame      TEXT,                  -- of the root; further frames have rows of their own
    input      TEXT NOT NULL,
    output     TEXT
) STRICT;

CREATE INDEX executions_by_start ON executions (started_at DESC);
CREATE INDEX executions_by_status ON executions (status, started_at DESC);
CREATE INDEX executions_due ON executions (wakes_at) WHERE owner IS NULL AND wakes_at IS NOT NULL;
CREATE INDEX executions_owned ON executions (owner) WHERE owner IS NOT NULL;

CREATE TABLE frames (                 -- one row per branch or iteration: a wide Map never rewrites its siblings
    execution INTEGER NOT NULL,
    path      TEXT NOT NULL,
    body      TEXT NOT NULL,
    PRIMARY KEY (execution, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE history (                -- one row per decision, appended: a list of [id, previous, time, type, details]
    execution INTEGER NOT NULL,
    first_id  INTEGER NOT NULL,
    events    TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX history_of ON history (execution, first_id);

CREATE TABLE signals (                -- what others want of an execution, until its owner has answered it
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    execution INTEGER NOT NULL,
    event     TEXT NOT NULL
) STRICT;

CREATE INDEX signals_of ON signals (execution);
