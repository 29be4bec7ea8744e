-- The primary key stops repeats: no row is written for a message that is there.
-- name: insert_message
INSERT INTO webhook_inbox (provider, webhook_id, client_reference, ride_ref, ride_seq, type, occurred_at, received_at,
                           state, payload, next_try_at)
VALUES (:provider, :webhook_id, :client_reference, :ride_ref, :ride_seq, :type, :occurred_at, :now, 'NEW', :payload,
        :next_try_at)
ON CONFLICT (provider, webhook_id) DO NOTHING;

-- name: message
SELECT * FROM webhook_inbox WHERE provider = :provider AND webhook_id = :webhook_id;

-- name: set_state
UPDATE webhook_inbox SET state = :state WHERE provider = :provider AND webhook_id = :webhook_id AND state <> :state;

-- Nothing of ours is known that it could be about; the sweep looks again, and then counts the pauses itself.
-- name: set_unmatched
UPDATE webhook_inbox SET state = 'UNMATCHED', next_try_at = :next_try_at
WHERE provider = :provider AND webhook_id = :webhook_id AND state <> 'UNMATCHED';

-- Counting stops at the limit: a flood must not make refusing slow.
-- name: new_messages
SELECT COUNT(*) AS waiting FROM (SELECT 1 FROM webhook_inbox WHERE state = 'NEW' LIMIT :limit) AS head;

-- name: booking_of_ride
SELECT booking_id FROM bookings WHERE ride_provider = :provider AND ride_ref = :ride_ref;

-- name: known
SELECT booking_id FROM bookings WHERE booking_id = :booking_id;

-- A ride of our reference that the taxi company has told of, before anybody found it.
-- name: told_ride
SELECT ride_ref FROM webhook_inbox WHERE provider = :provider AND client_reference = :client_reference
  AND ride_ref IS NOT NULL ORDER BY ride_seq DESC LIMIT 1;
