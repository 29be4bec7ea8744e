-- Only the oldest unsent event of each booking, so that the order per booking holds with any number of relays.
-- name: due_events
SELECT o.event_id, o.envelope, o.attempts FROM outbox o
WHERE o.published_at IS NULL AND o.next_attempt_at <= :now
  AND NOT EXISTS (SELECT 1 FROM outbox p
                  WHERE p.booking_id = o.booking_id AND p.published_at IS NULL AND p.seq < o.seq)
ORDER BY o.created_at, o.booking_id LIMIT :limit;

-- name: mark_published
UPDATE outbox SET published_at = :now, attempts = attempts + 1, last_error = NULL
WHERE event_id = :event_id AND published_at IS NULL;

-- name: mark_failed
UPDATE outbox SET attempts = attempts + 1, next_attempt_at = :next_attempt_at, last_error = :last_error
WHERE event_id = :event_id AND published_at IS NULL;

-- name: unpublished
SELECT COUNT(*) AS queued FROM outbox WHERE published_at IS NULL;
