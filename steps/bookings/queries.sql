-- name: insert_booking
INSERT INTO bookings (booking_id, reference, member_ref, status, version, ride_generation, airport_iata, lounge_code,
                      pickup_time, window_end, max_price_minor, attention, doc, created_at, updated_at)
VALUES (:booking_id, :reference, :member_ref, :status, 1, 0, :airport_iata, :lounge_code,
        :pickup_time, :window_end, :max_price_minor, 0, :doc, :now, :now)
RETURNING *;

-- name: booking
SELECT * FROM bookings WHERE booking_id = :booking_id;

-- With its personal part and the key of that: what most steps of a ride begin with.
-- name: whole_booking
SELECT b.*, p.ciphertext, k.owner AS key_owner, k.key_id, k.wrapped
FROM bookings b LEFT JOIN booking_pii p ON p.booking_id = b.booking_id LEFT JOIN data_keys k ON k.owner = p.key_id
WHERE b.booking_id = :booking_id;

-- name: reference_taken
SELECT 1 FROM bookings WHERE reference = :reference AND terminal_at IS NULL;

-- The compare-and-set that every change of a booking goes through: one row, or someone else was first.
-- name: update_booking
UPDATE bookings
SET status = :status, version = :new_version, ride_provider = :ride_provider, ride_ref = :ride_ref,
    ride_generation = :ride_generation, pickup_time = :pickup_time, window_end = :window_end,
    price_minor = :price_minor, price_currency = :price_currency,
    failure_code = :failure_code, attention = :attention, doc = :doc, updated_at = :now, terminal_at = :terminal_at
WHERE booking_id = :booking_id AND version = :version;
-- A row that another transaction is changing counts as changed: waiting for it could end in a deadlock of two batches.
-- name: update_booking on postgresql
UPDATE bookings
SET status = :status, version = :new_version, ride_provider = :ride_provider, ride_ref = :ride_ref,
    ride_generation = :ride_generation, pickup_time = :pickup_time, window_end = :window_end,
    price_minor = :price_minor, price_currency = :price_currency,
    failure_code = :failure_code, attention = :attention, doc = :doc, updated_at = :now, terminal_at = :terminal_at
WHERE booking_id = (SELECT booking_id FROM bookings WHERE booking_id = :booking_id FOR NO KEY UPDATE SKIP LOCKED)
  AND version = :version;

-- name: insert_transition
INSERT INTO booking_transitions (booking_id, version, from_status, to_status, cause, actor, at, detail)
VALUES (:booking_id, :version, :from_status, :to_status, :cause, :actor, :at, :detail);

-- name: last_event
SELECT COALESCE(MAX(seq), 0) AS seq FROM outbox WHERE booking_id = :booking_id;

-- name: insert_event
INSERT INTO outbox (event_id, booking_id, seq, type, terminal, user_facing, envelope, created_at, next_attempt_at)
VALUES (:event_id, :booking_id, :seq, :type, :terminal, :user_facing, :envelope, :now, :now);

-- Counting stops at the limit: a long queue must not make refusing slow.
-- name: queued_events
SELECT COUNT(*) AS queued FROM (SELECT 1 FROM outbox WHERE published_at IS NULL LIMIT :limit) AS head;

-- The member's other bookings that hold a slot; a request that has not reserved yet does not count.
-- name: open_bookings
SELECT b.booking_id, b.status, b.airport_iata, b.pickup_time, s.starts_at AS window_start, s.ends_at AS window_end
FROM booking_slots s JOIN bookings b ON b.booking_id = s.booking_id
WHERE s.member_ref = :member_ref AND s.booking_id <> :booking_id AND b.terminal_at IS NULL
ORDER BY s.starts_at;

-- What the member has: slots of the period, and bookings made lately.
-- name: usage
SELECT
  (SELECT COUNT(*) FROM booking_slots
   WHERE member_ref = :member_ref AND period = :period AND booking_id <> :booking_id) AS taken,
  (SELECT COUNT(*) FROM bookings WHERE member_ref = :member_ref AND created_at >= :since) AS attempts;

-- Counting a member's slots and taking one must be one step. Writers of SQLite take turns by themselves.
-- name: lock_member
SELECT 1 AS locked;
-- name: lock_member on postgresql
SELECT CAST(pg_try_advisory_xact_lock(hashtext('booking_slots'), hashtext(:member_ref)) AS integer) AS locked;

-- name: overlapping_slot
SELECT booking_id FROM booking_slots
WHERE member_ref = :member_ref AND booking_id <> :booking_id AND active = 1
  AND starts_at < :ends_at AND ends_at > :starts_at;

-- Whether the booking holds a slot, and beside it: slots of the period, slots that overlap, bookings that are open.
-- name: slots
SELECT
  (SELECT COUNT(*) FROM booking_slots WHERE booking_id = :booking_id) AS own,
  (SELECT COUNT(*) FROM booking_slots
   WHERE member_ref = :member_ref AND period = :period AND booking_id <> :booking_id) AS taken,
  (SELECT COUNT(*) FROM booking_slots
   WHERE member_ref = :member_ref AND booking_id <> :booking_id AND active = 1
     AND starts_at < :ends_at AND ends_at > :starts_at) AS overlapping,
  (SELECT COUNT(*) FROM booking_slots s JOIN bookings b ON b.booking_id = s.booking_id
   WHERE s.member_ref = :member_ref AND s.booking_id <> :booking_id AND b.terminal_at IS NULL) AS open;

-- name: insert_slot
INSERT INTO booking_slots (booking_id, member_ref, period, starts_at, ends_at)
VALUES (:booking_id, :member_ref, :period, :starts_at, :ends_at);

-- The ride is over: it goes on counting for the allowance, and its time is free.
-- name: free_time
UPDATE booking_slots SET active = 0 WHERE booking_id = :booking_id AND active = 1;

-- name: delete_slot
DELETE FROM booking_slots WHERE booking_id = :booking_id;
