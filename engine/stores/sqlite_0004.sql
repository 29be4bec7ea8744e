-- Published versions of flows, and names that route to them.

CREATE TABLE versions (
    flow        TEXT NOT NULL,
    number      INTEGER NOT NULL,      -- from 1, without gaps
    definition  TEXT NOT NULL,         -- a content hash
    description TEXT,
    created_at  REAL NOT NULL,
    PRIMARY KEY (flow, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE aliases (
    flow       TEXT NOT NULL,
    name       TEXT NOT NULL,
    routes     TEXT NOT NULL,          -- JSON: [[version, weight], …], 100 in all
    updated_at REAL NOT NULL,
    PRIMARY KEY (flow, name)
) STRICT, WITHOUT ROWID;
