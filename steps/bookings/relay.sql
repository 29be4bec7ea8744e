-- Only the oldest unsent event of each booking, so that the order per booking holds with any number of relays. Whoever
-- claims events has them until :until; a relay that died in between leaves them to the others then.
-- name: claim
UPDATE outbox SET next_attempt_at = :until, attempts = attempts + 1
WHERE event_id IN (
  SELECT o.event_id FROM outbox o
  WHERE o.published_at IS NULL AND o.next_attempt_at <= :now
    AND NOT EXISTS (SELECT 1 FROM outbox p
                    WHERE p.booking_id = o.booking_id AND p.published_at IS NULL AND p.seq < o.seq)
  ORDER BY o.created_at, o.booking_id LIMIT :limit)
RETURNING event_id, booking_id, envelope, attempts, created_at;
-- name: claim on postgresql
UPDATE outbox SET next_attempt_at = :until, attempts = attempts + 1
WHERE event_id IN (
  SELECT o.event_id FROM outbox o
  WHERE o.published_at IS NULL AND o.next_attempt_at <= :now
    AND NOT EXISTS (SELECT 1 FROM outbox p
                    WHERE p.booking_id = o.booking_id AND p.published_at IS NULL AND p.seq < o.seq)
  ORDER BY o.created_at, o.booking_id LIMIT :limit
  FOR UPDATE OF o SKIP LOCKED)
RETURNING event_id, booking_id, envelope, attempts, created_at;

-- The clocks of two relays may differ; the moments of one booking's events never run backwards.
-- name: mark_published
UPDATE outbox SET last_error = NULL, published_at = MAX(:now, COALESCE(
  (SELECT MAX(p.published_at) FROM outbox p WHERE p.booking_id = outbox.booking_id), ''))
WHERE event_id = :event_id AND published_at IS NULL;
-- name: mark_published on postgresql
UPDATE outbox SET last_error = NULL, published_at = GREATEST(:now,
  (SELECT MAX(p.published_at) FROM outbox p WHERE p.booking_id = outbox.booking_id))
WHERE event_id = :event_id AND published_at IS NULL;

-- name: postpone
UPDATE outbox SET next_attempt_at = :next_attempt_at, last_error = :last_error
WHERE event_id = :event_id AND published_at IS NULL;

-- name: unpublished
SELECT COUNT(*) AS queued FROM outbox WHERE published_at IS NULL;

-- name: next_due
SELECT MIN(next_attempt_at) AS due FROM outbox WHERE published_at IS NULL;
