-- The booking, its attempts at the taxi company, its events, its slot. Times are RFC 3339 texts in UTC with milliseconds.
CREATE TABLE bookings (
  booking_id      TEXT PRIMARY KEY,
  reference       TEXT NOT NULL,
  member_ref      TEXT NOT NULL,
  status          TEXT NOT NULL CHECK (status IN ('REQUESTED','PENDING_CONFIRMATION','CONFIRMED','DRIVER_ASSIGNED',
                    'DRIVER_EN_ROUTE','DRIVER_ARRIVED','IN_PROGRESS','CANCELLATION_PENDING','COMPENSATING',
                    'REJECTED','FAILED','CANCELLED','NO_SHOW','COMPLETED')),
  version         INTEGER NOT NULL CHECK (version >= 1),
  ride_provider   TEXT,
  ride_ref        TEXT,
  ride_generation INTEGER NOT NULL DEFAULT 0,
  airport_iata    TEXT NOT NULL,
  lounge_code     TEXT NOT NULL,
  pickup_time     TEXT NOT NULL,
  window_end      TEXT NOT NULL,
  price_minor     BIGINT,
  price_currency  TEXT,
  max_price_minor BIGINT,
  failure_code    TEXT,
  attention       INTEGER NOT NULL DEFAULT 0,
  doc             TEXT NOT NULL,
  created_at      TEXT NOT NULL,
  updated_at      TEXT NOT NULL,
  terminal_at     TEXT,
  CHECK (status NOT IN ('CONFIRMED','DRIVER_ASSIGNED','DRIVER_EN_ROUTE','DRIVER_ARRIVED','IN_PROGRESS','NO_SHOW','COMPLETED')
         OR ride_ref IS NOT NULL),
  CHECK ((terminal_at IS NOT NULL) = (status IN ('REJECTED','FAILED','CANCELLED','NO_SHOW','COMPLETED')))
);
CREATE UNIQUE INDEX bookings_ride ON bookings (ride_provider, ride_ref) WHERE ride_ref IS NOT NULL;
CREATE UNIQUE INDEX bookings_reference ON bookings (reference) WHERE terminal_at IS NULL;
CREATE INDEX bookings_member ON bookings (member_ref, created_at, booking_id);
CREATE INDEX bookings_open ON bookings (status, updated_at) WHERE terminal_at IS NULL;

-- The personal part of the request. Version 1 keeps it in plain text under the key id 'none'.
CREATE TABLE booking_pii (
  booking_id TEXT PRIMARY KEY REFERENCES bookings,
  key_id     TEXT NOT NULL,
  ciphertext TEXT,
  expires_at TEXT NOT NULL,
  erased_at  TEXT
);

CREATE TABLE booking_transitions (
  booking_id  TEXT NOT NULL REFERENCES bookings,
  version     INTEGER NOT NULL,
  from_status TEXT,
  to_status   TEXT NOT NULL,
  cause       TEXT NOT NULL,
  actor       TEXT NOT NULL,
  at          TEXT NOT NULL,
  detail      TEXT,
  PRIMARY KEY (booking_id, version)
);

CREATE TABLE ride_attempts (
  attempt_id       TEXT PRIMARY KEY,
  booking_id       TEXT NOT NULL REFERENCES bookings,
  generation       INTEGER NOT NULL,
  op               TEXT NOT NULL CHECK (op IN ('QUOTE','CREATE','LOOKUP','CANCEL','AMEND')),
  client_reference TEXT NOT NULL,
  idem_key         TEXT,
  started_at       TEXT NOT NULL,
  finished_at      TEXT,
  outcome          TEXT NOT NULL CHECK (outcome IN ('IN_FLIGHT','OK','REFUSED','NOT_SENT','AMBIGUOUS')),
  resolution       TEXT CHECK (resolution IN ('FOUND','ABSENT','CANCELLED')),
  ride_ref         TEXT,
  error_code       TEXT
);
CREATE INDEX ride_attempts_booking ON ride_attempts (booking_id, generation, op);
CREATE INDEX ride_attempts_open ON ride_attempts (booking_id) WHERE outcome IN ('IN_FLIGHT','AMBIGUOUS') AND resolution IS NULL;

CREATE TABLE outbox (
  event_id        TEXT PRIMARY KEY,
  booking_id      TEXT NOT NULL REFERENCES bookings,
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
CREATE UNIQUE INDEX outbox_one_terminal ON outbox (booking_id) WHERE terminal = 1;
CREATE INDEX outbox_todo ON outbox (next_attempt_at) WHERE published_at IS NULL;

CREATE TABLE orphan_watch (
  client_reference TEXT PRIMARY KEY,
  booking_id       TEXT NOT NULL REFERENCES bookings,
  opened_at        TEXT NOT NULL,
  next_check_at    TEXT NOT NULL,
  deadline_at      TEXT NOT NULL,
  closed_at        TEXT,
  result           TEXT
);

CREATE TABLE booking_slots (
  booking_id TEXT PRIMARY KEY REFERENCES bookings,
  member_ref TEXT NOT NULL,
  period     TEXT NOT NULL,
  starts_at  TEXT NOT NULL,
  ends_at    TEXT NOT NULL
);
CREATE INDEX booking_slots_member ON booking_slots (member_ref, period);
