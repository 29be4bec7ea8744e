-- Everything here names the member: a booking of somebody else is not there.

-- The youngest first, after a place; `first` 1 begins at the top.
-- name: own_bookings
SELECT * FROM bookings
WHERE member_ref = :member_ref
  AND (:any_status = 1 OR status = :status)
  AND pickup_time >= :since AND pickup_time < :until
  AND (:first = 1 OR created_at < :created_at OR (created_at = :created_at AND booking_id < :booking_id))
ORDER BY created_at DESC, booking_id DESC LIMIT :limit;

-- What calls for people is for operations alone.
-- name: events_after
SELECT seq, envelope FROM outbox
WHERE booking_id = :booking_id AND seq > :after AND type NOT LIKE '%.attention_required.%'
ORDER BY seq LIMIT :limit;
