-- Bookings on the way whose own flow should have been through long ago.
-- name: stuck
SELECT booking_id, status FROM bookings
WHERE terminal_at IS NULL AND status IN ('REQUESTED', 'PENDING_CONFIRMATION', 'COMPENSATING', 'CANCELLATION_PENDING')
  AND updated_at <= :since
ORDER BY updated_at LIMIT :limit;

-- name: due_watches
SELECT client_reference, booking_id FROM orphan_watch WHERE closed_at IS NULL AND next_check_at <= :now
ORDER BY next_check_at LIMIT :limit;

-- name: watch
SELECT * FROM orphan_watch WHERE client_reference = :client_reference;

-- name: set_watch
UPDATE orphan_watch SET next_check_at = :next_check_at, closed_at = :closed_at, result = :result
WHERE client_reference = :client_reference AND closed_at IS NULL;

-- Messages that nobody could do anything about yet, in the order of their rides; new ones are in the hands of their flow.
-- name: open_messages
SELECT provider, webhook_id, tries FROM webhook_inbox
WHERE state IN ('NEW', 'UNMATCHED') AND next_try_at <= :now AND received_at >= :oldest
ORDER BY received_at, ride_seq LIMIT :limit;

-- name: put_off_message
UPDATE webhook_inbox SET tries = tries + 1, next_try_at = :next_try_at
WHERE provider = :provider AND webhook_id = :webhook_id;

-- What could not be matched in its time is about nothing of ours.
-- name: give_up_messages
UPDATE webhook_inbox SET state = 'IGNORED' WHERE state IN ('NEW', 'UNMATCHED') AND received_at < :oldest;

-- A request that was never finished must not lock its key for ever; the one that made a booking leads to it.
-- name: free_keys
DELETE FROM idempotency_keys WHERE state = 'IN_PROGRESS' AND booking_id IS NULL AND locked_until <= :since;

-- name: free_slots
DELETE FROM booking_slots WHERE booking_id IN (
  SELECT booking_id FROM bookings WHERE status IN ('REJECTED', 'FAILED') AND terminal_at >= :since);

-- name: without_points
SELECT b.booking_id FROM bookings b LEFT JOIN loyalty_accruals l ON l.booking_id = b.booking_id
WHERE b.status = 'COMPLETED' AND b.terminal_at >= :oldest AND l.booking_id IS NULL
ORDER BY b.terminal_at LIMIT :limit;
