-- What is deleted when its time is over: a statement `<kind>` or several `<kind>__<part>`, in this order.
-- :before is the moment up to which rows of the kind have been kept for long enough.

-- name: expired_personal
SELECT booking_id FROM booking_pii WHERE expires_at <= :before AND ciphertext IS NOT NULL ORDER BY expires_at LIMIT :limit;

-- name: unused_keys
DELETE FROM data_keys WHERE owner IN (
  SELECT owner FROM data_keys WHERE booking_id IS NULL AND created_at <= :before ORDER BY created_at LIMIT :limit);

-- name: replies
DELETE FROM idempotency_keys WHERE (scope, idem_key) IN (
  SELECT scope, idem_key FROM idempotency_keys WHERE expires_at <= :before ORDER BY expires_at LIMIT :limit);

-- name: webhooks
DELETE FROM webhook_inbox WHERE (provider, webhook_id) IN (
  SELECT provider, webhook_id FROM webhook_inbox WHERE received_at <= :before ORDER BY received_at LIMIT :limit);

-- An attempt that nobody could explain stays for the people who were called.
-- name: attempts
DELETE FROM ride_attempts WHERE attempt_id IN (
  SELECT a.attempt_id FROM ride_attempts a JOIN bookings b ON b.booking_id = a.booking_id
  WHERE a.started_at <= :before AND b.terminal_at IS NOT NULL
    AND NOT (a.outcome IN ('IN_FLIGHT', 'AMBIGUOUS') AND a.resolution IS NULL)
  ORDER BY a.started_at LIMIT :limit);

-- The last event of a booking stays: the next one is numbered after it.
-- name: events
DELETE FROM outbox WHERE event_id IN (
  SELECT o.event_id FROM outbox o JOIN bookings b ON b.booking_id = o.booking_id
  WHERE o.published_at <= :before AND o.terminal = 0 AND b.terminal_at <= :before
    AND EXISTS (SELECT 1 FROM outbox l WHERE l.booking_id = o.booking_id AND l.seq > o.seq)
  ORDER BY o.published_at LIMIT :limit);

-- name: bookings__transitions
DELETE FROM booking_transitions WHERE booking_id IN (
  SELECT booking_id FROM bookings WHERE terminal_at <= :before ORDER BY terminal_at, booking_id LIMIT :limit);
-- name: bookings__attempts
DELETE FROM ride_attempts WHERE booking_id IN (
  SELECT booking_id FROM bookings WHERE terminal_at <= :before ORDER BY terminal_at, booking_id LIMIT :limit);
-- name: bookings__events
DELETE FROM outbox WHERE booking_id IN (
  SELECT booking_id FROM bookings WHERE terminal_at <= :before ORDER BY terminal_at, booking_id LIMIT :limit);
-- name: bookings__watches
DELETE FROM orphan_watch WHERE booking_id IN (
  SELECT booking_id FROM bookings WHERE terminal_at <= :before ORDER BY terminal_at, booking_id LIMIT :limit);
-- name: bookings__slots
DELETE FROM booking_slots WHERE booking_id IN (
  SELECT booking_id FROM bookings WHERE terminal_at <= :before ORDER BY terminal_at, booking_id LIMIT :limit);
-- name: bookings__looks
DELETE FROM ride_looks WHERE booking_id IN (
  SELECT booking_id FROM bookings WHERE terminal_at <= :before ORDER BY terminal_at, booking_id LIMIT :limit);
-- name: bookings__points
DELETE FROM loyalty_accruals WHERE booking_id IN (
  SELECT booking_id FROM bookings WHERE terminal_at <= :before ORDER BY terminal_at, booking_id LIMIT :limit);
-- name: bookings__personal
DELETE FROM booking_pii WHERE booking_id IN (
  SELECT booking_id FROM bookings WHERE terminal_at <= :before ORDER BY terminal_at, booking_id LIMIT :limit);
-- name: bookings__keys
DELETE FROM data_keys WHERE booking_id IN (
  SELECT booking_id FROM bookings WHERE terminal_at <= :before ORDER BY terminal_at, booking_id LIMIT :limit);
-- name: bookings__rows
DELETE FROM bookings WHERE booking_id IN (
  SELECT booking_id FROM bookings WHERE terminal_at <= :before ORDER BY terminal_at, booking_id LIMIT :limit);
