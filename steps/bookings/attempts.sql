-- name: insert_attempt
INSERT INTO ride_attempts (attempt_id, booking_id, generation, op, client_reference, idem_key, started_at,
                           finished_at, outcome, resolution, ride_ref, error_code)
VALUES (:attempt_id, :booking_id, :generation, :op, :client_reference, :idem_key, :started_at,
        :finished_at, :outcome, :resolution, :ride_ref, :error_code);

-- name: attempts
SELECT * FROM ride_attempts WHERE booking_id = :booking_id AND op = :op ORDER BY started_at, attempt_id;

-- A late answer must not overwrite what reconciling found out meanwhile: only an attempt in flight is finished.
-- name: finish_attempt
UPDATE ride_attempts SET outcome = :outcome, finished_at = :now, ride_ref = :ride_ref, error_code = :error_code
WHERE attempt_id = :attempt_id AND outcome = 'IN_FLIGHT' AND resolution IS NULL;

-- name: resolve_attempts
UPDATE ride_attempts SET resolution = :resolution, ride_ref = COALESCE(:ride_ref, ride_ref)
WHERE booking_id = :booking_id AND op = 'CREATE' AND outcome IN ('IN_FLIGHT', 'AMBIGUOUS') AND resolution IS NULL;

-- A watch that was closed begins anew: there is a reason to look again.
-- name: open_watch
INSERT INTO orphan_watch (client_reference, booking_id, opened_at, next_check_at, deadline_at)
VALUES (:client_reference, :booking_id, :now, :next_check_at, :deadline_at)
ON CONFLICT (client_reference) DO UPDATE SET opened_at = excluded.opened_at, next_check_at = excluded.next_check_at,
  deadline_at = excluded.deadline_at, closed_at = NULL
WHERE orphan_watch.closed_at IS NOT NULL;

-- name: look_now
UPDATE orphan_watch SET next_check_at = :now WHERE client_reference = :client_reference AND closed_at IS NULL;
