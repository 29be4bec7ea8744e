-- name: insert_key
INSERT INTO idempotency_keys (scope, idem_key, fingerprint, state, booking_id, locked_until, created_at, expires_at)
VALUES (:scope, :idem_key, :fingerprint, 'IN_PROGRESS', :booking_id, :locked_until, :now, :expires_at)
ON CONFLICT (scope, idem_key) DO NOTHING
RETURNING *;

-- name: key
SELECT * FROM idempotency_keys WHERE scope = :scope AND idem_key = :idem_key;

-- One of those who come after the lock has ended takes over.
-- name: take_over
UPDATE idempotency_keys SET locked_until = :locked_until
WHERE scope = :scope AND idem_key = :idem_key AND state = 'IN_PROGRESS' AND locked_until = :seen;

-- name: finish_key
UPDATE idempotency_keys SET state = 'DONE', booking_id = :booking_id, status_code = :status_code, body = :body
WHERE scope = :scope AND idem_key = :idem_key AND state = 'IN_PROGRESS';

-- name: release_key
DELETE FROM idempotency_keys WHERE scope = :scope AND idem_key = :idem_key AND state = 'IN_PROGRESS';

-- name: drop_expired_key
DELETE FROM idempotency_keys WHERE scope = :scope AND idem_key = :idem_key AND expires_at < :now;
