-- Events about a member (`member.erased`) are in the outbox under the member's pseudonym.
CREATE TABLE outbox_new (
  event_id        TEXT PRIMARY KEY,
  booking_id      TEXT NOT NULL,
  seq             INTEGER NOT NULL,
  type            TEXT NOT NULL,
  terminal        INTEGER NOT NULL DEFAULT 0,
  user_facing     INTEGER NOT NULL DEFAULT 0,
  envelope        TEXT NOT NULL,
  created_at      TEXT NOT NULL,
  attempts        INTEGER NOT NULL DEFAULT 0,
  next_attempt_at TEXT NOT NULL,
  published_at    TEXT,
  last_error      TEXT,
  UNIQUE (booking_id, seq)
);
INSERT INTO outbox_new SELECT * FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_new RENAME TO outbox;
CREATE UNIQUE INDEX outbox_one_terminal ON outbox (booking_id) WHERE terminal = 1;
CREATE INDEX outbox_todo ON outbox (next_attempt_at) WHERE published_at IS NULL;
CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;
