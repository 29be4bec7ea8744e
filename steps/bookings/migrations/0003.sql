-- One key for each booking, itself encrypted with a key of the deployment (`key_id` names it). Whoever destroys a row
-- makes everything unreadable that was sealed with it: personal data, stored replies, inputs in the engine's history.
-- `owner` is the booking's id, or the name of the execution that is to make the booking.
CREATE TABLE data_keys (
  owner      TEXT PRIMARY KEY,
  booking_id TEXT,
  key_id     TEXT NOT NULL,
  wrapped    TEXT NOT NULL,
  created_at TEXT NOT NULL
);
CREATE UNIQUE INDEX data_keys_booking ON data_keys (booking_id) WHERE booking_id IS NOT NULL;
CREATE INDEX data_keys_unused ON data_keys (created_at) WHERE booking_id IS NULL;
CREATE INDEX data_keys_wrapped ON data_keys (key_id);
CREATE INDEX bookings_ended ON bookings (terminal_at) WHERE terminal_at IS NOT NULL;
CREATE INDEX ride_attempts_started ON ride_attempts (started_at);
