-- name: slot_period
SELECT period FROM booking_slots WHERE booking_id = :booking_id;

-- name: move_slot
UPDATE booking_slots SET starts_at = :starts_at, ends_at = :ends_at, period = COALESCE(:period, period)
WHERE booking_id = :booking_id;
