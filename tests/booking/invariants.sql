-- What must hold for all bookings. Each query finds violations: it must give no row.
-- sim_rides(ride_ref, booking_id, client_reference, live) is the taxi company's own knowledge.

-- name: I01 at most one live ride per booking
SELECT b.booking_id FROM bookings b JOIN sim_rides r ON r.booking_id = b.booking_id AND r.live = 1
GROUP BY b.booking_id HAVING COUNT(*) > 1;

-- name: I02 a status that needs a ride has one that the taxi company knows
SELECT b.booking_id FROM bookings b LEFT JOIN sim_rides r ON r.ride_ref = b.ride_ref
WHERE b.status IN ('CONFIRMED','DRIVER_ASSIGNED','DRIVER_EN_ROUTE','DRIVER_ARRIVED','IN_PROGRESS','COMPLETED','NO_SHOW')
  AND (b.ride_ref IS NULL OR r.ride_ref IS NULL);

-- name: I03 every ended booking has exactly one terminal event, and no other has one
SELECT b.booking_id FROM bookings b LEFT JOIN outbox o ON o.booking_id = b.booking_id AND o.terminal = 1
GROUP BY b.booking_id, b.terminal_at HAVING COUNT(o.event_id) <> CASE WHEN b.terminal_at IS NULL THEN 0 ELSE 1 END;

-- name: I04 no live ride behind a booking that ended without one
SELECT b.booking_id FROM bookings b JOIN sim_rides r ON r.booking_id = b.booking_id AND r.live = 1
WHERE b.status IN ('FAILED','REJECTED','CANCELLED');

-- name: I05 a rejected booking never asked for a ride
SELECT b.booking_id FROM bookings b JOIN ride_attempts a ON a.booking_id = b.booking_id
WHERE b.status = 'REJECTED' AND a.op = 'CREATE';

-- name: I06 a key that is done has a booking
SELECT idem_key FROM idempotency_keys WHERE state = 'DONE' AND booking_id IS NULL;

-- name: I07 versions have no holes
SELECT booking_id FROM booking_transitions GROUP BY booking_id HAVING MAX(version) <> COUNT(*) OR MIN(version) <> 1;

-- name: I08 event numbers have no holes
SELECT booking_id FROM outbox GROUP BY booking_id HAVING MAX(seq) <> COUNT(*) OR MIN(seq) <> 1;

-- name: I09 the row agrees with its last transition
SELECT b.booking_id FROM bookings b LEFT JOIN booking_transitions t ON t.booking_id = b.booking_id AND t.version = b.version
WHERE t.to_status IS NULL OR t.to_status <> b.status;

-- name: I10 events were first published in order
SELECT x.booking_id FROM outbox x JOIN outbox y ON y.booking_id = x.booking_id AND y.seq > x.seq
WHERE y.published_at IS NOT NULL AND (x.published_at IS NULL OR x.published_at > y.published_at);

-- name: I11 never confirmed above the price that the member agreed to
SELECT booking_id FROM bookings WHERE ride_ref IS NOT NULL AND max_price_minor IS NOT NULL AND price_minor > max_price_minor;

-- name: I12 once quiet, every create is explained, or people were told
SELECT DISTINCT a.booking_id FROM ride_attempts a JOIN bookings b ON b.booking_id = a.booking_id
WHERE a.op = 'CREATE' AND a.outcome IN ('IN_FLIGHT','AMBIGUOUS') AND a.resolution IS NULL AND b.attention = 0;

-- name: I13 once quiet, no booking is left on the way, or people were told
SELECT booking_id FROM bookings
WHERE status IN ('REQUESTED','PENDING_CONFIRMATION','COMPENSATING','CANCELLATION_PENDING') AND attention = 0;

-- name: I14 orphan watches are closed by their deadline and one round of the sweep
SELECT client_reference FROM orphan_watch WHERE closed_at IS NULL AND deadline_at < ${yesterday};

-- name: I21 a slot is held exactly by the bookings that count for the allowance
SELECT b.booking_id FROM bookings b LEFT JOIN booking_slots s ON s.booking_id = b.booking_id
WHERE (b.status IN ('CONFIRMED','DRIVER_ASSIGNED','DRIVER_EN_ROUTE','DRIVER_ARRIVED','IN_PROGRESS','COMPLETED','NO_SHOW')
       AND s.booking_id IS NULL)
   OR (b.status IN ('REJECTED','FAILED') AND s.booking_id IS NOT NULL);
