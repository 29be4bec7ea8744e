-- Everything here names the member: a booking of somebody else is not there.

-- The youngest first, after a place; `first` 1 begins at the top.
-- name: own_bookings
SELECT * FROM bookings
WHERE member_ref = :member_ref
  AND (:any_status = 1 OR status = :status)
  AND pickup_time >= :since AND pickup_time < :until
  AND (:first = 1 OR created_at < :created_at OR (created_at = :created_at AND booking_id < :booking_id))
ORDER BY created_at DESC, booking_id DESC LIMIT :limit;

-- name: own_events
SELECT seq, type, envelope, terminal FROM outbox o JOIN bookings b ON b.booking_id = o.booking_id
WHERE o.booking_id = :booking_id AND b.member_ref = :member_ref AND o.seq > :after AND o.user_facing = 1
ORDER BY o.seq LIMIT :limit;
