-- Tables of the engine on SQLite, version 1. Times are seconds since the epoch; bodies are JSON text.

CREATE TABLE definitions (            -- flows by the hash of their content; a running execution keeps its own
    hash       TEXT PRIMARY KEY,
    source     TEXT NOT NULL,
    file       TEXT,
    created_at REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE executions (
    name       TEXT PRIMARY KEY,
    definition TEXT NOT NULL REFERENCES definitions (hash),
    flow       TEXT NOT NULL,
    status     TEXT NOT NULL CHECK (status IN ('RUNNING', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'ABORTED')),
    version    INTEGER NOT NULL,      -- grows with every decision; a commit names the one it read
    header     TEXT NOT NULL,         -- the execution without input and output
    input      TEXT NOT NULL,
    output     TEXT,
    error      TEXT,
    cause      TEXT,
    started_at REAL NOT NULL,
    stopped_at REAL
) STRICT, WITHOUT ROWID;

CREATE INDEX executions_by_start ON executions (started_at DESC, name);
CREATE INDEX executions_open ON executions (started_at, name) WHERE status = 'RUNNING';

CREATE TABLE frames (                 -- one row per running path: a wide Map never rewrites its siblings
    execution TEXT NOT NULL REFERENCES executions (name) ON DELETE CASCADE,
    path      TEXT NOT NULL,
    state     TEXT NOT NULL,
    wait      TEXT,
    wakes_at  REAL,                   -- when a timer or time-out is due at the latest
    body      TEXT NOT NULL,
    PRIMARY KEY (execution, path)
) STRICT, WITHOUT ROWID;

CREATE INDEX frames_due ON frames (wakes_at) WHERE wakes_at IS NOT NULL;

CREATE TABLE history (                -- one row per decision: a list of [id, previous, time, type, details]
    execution TEXT NOT NULL REFERENCES executions (name) ON DELETE CASCADE,
    first_id  INTEGER NOT NULL,
    events    TEXT NOT NULL,
    PRIMARY KEY (execution, first_id)
) STRICT, WITHOUT ROWID;
