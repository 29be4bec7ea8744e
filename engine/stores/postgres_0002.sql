-- Pausing: of an execution, and of what steps call.

ALTER TABLE executions ADD COLUMN paused_at float8;  -- nobody takes it up until it is unpaused; NULL: not paused
ALTER TABLE executions ADD COLUMN parked text;       -- of a free one: the paused steps that it stands before, with spaces between

CREATE INDEX executions_parked ON executions (id) WHERE parked IS NOT NULL;
CREATE INDEX executions_paused ON executions (paused_at) WHERE paused_at IS NOT NULL;

CREATE TABLE pauses (                 -- steps that are not to be called
    pattern text PRIMARY KEY,         -- a step's name, or a pattern such as taxi.*
    since   float8 NOT NULL,
    reason  text
);
