-- Who follows a ride notes when it was looked at and when it is to be looked at again; the sweep finds what is overdue.
CREATE TABLE ride_looks (
  booking_id   TEXT PRIMARY KEY REFERENCES bookings,
  looked_at    TEXT NOT NULL,
  next_look_at TEXT NOT NULL
);
CREATE INDEX ride_looks_due ON ride_looks (next_look_at);

-- Points of a completed ride, once per booking; none for a ride that earns none.
CREATE TABLE loyalty_accruals (
  booking_id  TEXT PRIMARY KEY REFERENCES bookings,
  member_ref  TEXT NOT NULL,
  points      BIGINT NOT NULL CHECK (points >= 0),
  basis_minor BIGINT NOT NULL,
  currency    TEXT NOT NULL,
  accrued_at  TEXT NOT NULL
);
CREATE INDEX loyalty_accruals_member ON loyalty_accruals (member_ref, accrued_at);
