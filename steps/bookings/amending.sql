-- name: move_slot
UPDATE booking_slots SET starts_at = :starts_at, ends_at = :ends_at WHERE booking_id = :booking_id;
