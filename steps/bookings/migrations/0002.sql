-- Requests that must not be done twice, and the answers that their repeats get. `body` is encrypted.
CREATE TABLE idempotency_keys (
  scope        TEXT NOT NULL,
  idem_key     TEXT NOT NULL,
  fingerprint  TEXT NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('IN_PROGRESS','DONE')),
  booking_id   TEXT,
  status_code  INTEGER,
  body         TEXT,
  locked_until TEXT NOT NULL,
  created_at   TEXT NOT NULL,
  expires_at   TEXT NOT NULL,
  PRIMARY KEY (scope, idem_key)
);
CREATE INDEX idempotency_keys_expired ON idempotency_keys (expires_at);
CREATE INDEX idempotency_keys_stale ON idempotency_keys (locked_until) WHERE state = 'IN_PROGRESS';

-- Messages of suppliers, each once. `payload` is a normalised copy without personal fields.
CREATE TABLE webhook_inbox (
  provider    TEXT NOT NULL,
  webhook_id  TEXT NOT NULL,
  client_reference TEXT,
  ride_ref    TEXT,
  ride_seq    INTEGER,
  type        TEXT NOT NULL,
  occurred_at TEXT NOT NULL,
  received_at TEXT NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('NEW','APPLIED','STALE','UNMATCHED','IGNORED')),
  payload     TEXT NOT NULL,
  PRIMARY KEY (provider, webhook_id)
);
CREATE INDEX webhook_inbox_new ON webhook_inbox (received_at) WHERE state = 'NEW';
CREATE INDEX webhook_inbox_received ON webhook_inbox (received_at);

CREATE INDEX orphan_watch_due ON orphan_watch (next_check_at) WHERE closed_at IS NULL;
CREATE INDEX booking_pii_expired ON booking_pii (expires_at) WHERE ciphertext IS NOT NULL;
CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;

-- A slot counts for the allowance as long as it exists; it takes up time only while the ride is ahead or under way.
ALTER TABLE booking_slots ADD COLUMN active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1));
UPDATE booking_slots SET active = 0 WHERE booking_id IN (SELECT booking_id FROM bookings WHERE terminal_at IS NOT NULL);
