-- When each ride was looked at, and when it is to be looked at again.
-- name: looked
INSERT INTO ride_looks (booking_id, looked_at, next_look_at) VALUES (:booking_id, :now, :next_look_at)
ON CONFLICT (booking_id) DO UPDATE SET looked_at = excluded.looked_at, next_look_at = excluded.next_look_at;

-- name: looks
SELECT * FROM ride_looks WHERE booking_id = :booking_id;

-- name: no_more
DELETE FROM ride_looks WHERE booking_id = :booking_id;

-- Rides that nobody has looked at in time: their follower has ended, or never began.
-- name: neglected
SELECT b.booking_id FROM bookings b LEFT JOIN ride_looks l ON l.booking_id = b.booking_id
WHERE b.status IN ('CONFIRMED', 'DRIVER_ASSIGNED', 'DRIVER_EN_ROUTE', 'DRIVER_ARRIVED', 'IN_PROGRESS')
  AND b.terminal_at IS NULL AND COALESCE(l.next_look_at, b.updated_at) <= :since
ORDER BY b.pickup_time LIMIT :limit;
