-- Published versions of flows, and names that route to them.

CREATE TABLE versions (
    flow        text NOT NULL,
    number      bigint NOT NULL,       -- from 1, without gaps
    definition  text NOT NULL,         -- a content hash
    description text,
    created_at  float8 NOT NULL,
    PRIMARY KEY (flow, number)
);

CREATE TABLE aliases (
    flow       text NOT NULL,
    name       text NOT NULL,
    routes     text NOT NULL,          -- JSON: [[version, weight], …], 100 in all
    updated_at float8 NOT NULL,
    PRIMARY KEY (flow, name)
);
