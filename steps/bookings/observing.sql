-- name: outbox
SELECT COUNT(*) AS events, MIN(created_at) AS oldest,
       COALESCE(SUM(CASE WHEN last_error IS NOT NULL AND attempts > 3 THEN 1 ELSE 0 END), 0) AS failing
FROM outbox WHERE published_at IS NULL;

-- name: open_by_status
SELECT status, COUNT(*) AS bookings FROM bookings WHERE terminal_at IS NULL GROUP BY status ORDER BY status;

-- name: ended_since
SELECT status, failure_code, COUNT(*) AS bookings FROM bookings WHERE terminal_at >= :since
GROUP BY status, failure_code ORDER BY status, failure_code;

-- name: waiting
SELECT
  (SELECT COUNT(*) FROM bookings WHERE terminal_at IS NULL AND attention = 1) AS bookings_attention,
  (SELECT COUNT(*) FROM bookings WHERE attention = 1 AND updated_at >= :day_ago AND terminal_at IS NOT NULL
     AND (updated_at > terminal_at OR status = 'COMPLETED')) AS bookings_attention_ended,
  (SELECT COUNT(*) FROM bookings WHERE terminal_at IS NULL AND updated_at < :hour_ago
     AND status IN ('REQUESTED', 'PENDING_CONFIRMATION', 'COMPENSATING', 'CANCELLATION_PENDING')) AS bookings_overdue,
  (SELECT COUNT(*) FROM orphan_watch WHERE closed_at IS NULL AND next_check_at < :hour_ago) AS orphan_watches_due,
  (SELECT COUNT(*) FROM webhook_inbox WHERE state = 'NEW') AS webhooks_waiting;
