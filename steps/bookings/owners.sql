-- Whose booking it is decides here and nowhere else: somebody else's is as if it were not there.
-- name: owned
SELECT booking_id FROM bookings WHERE booking_id = :booking_id AND member_ref = :member_ref;
