-- name: data_key
SELECT owner, key_id, wrapped FROM data_keys WHERE owner = :owner OR booking_id = :owner;

-- name: insert_data_key
INSERT INTO data_keys (owner, key_id, wrapped, created_at) VALUES (:owner, :key_id, :wrapped, :now)
ON CONFLICT (owner) DO NOTHING;

-- name: give_data_key
UPDATE data_keys SET booking_id = :booking_id WHERE owner = :owner AND booking_id IS NULL;

-- name: destroy_data_key
DELETE FROM data_keys WHERE booking_id = :booking_id OR owner = :booking_id;

-- name: rewrap_data_key
UPDATE data_keys SET key_id = :key_id, wrapped = :wrapped WHERE owner = :owner;

-- name: wrapped_with_others
SELECT owner, key_id, wrapped FROM data_keys WHERE key_id <> :key_id ORDER BY created_at LIMIT :limit;

-- name: insert_personal
INSERT INTO booking_pii (booking_id, key_id, ciphertext, expires_at)
VALUES (:booking_id, :key_id, :ciphertext, :expires_at);

-- name: update_personal
UPDATE booking_pii SET ciphertext = :ciphertext WHERE booking_id = :booking_id AND erased_at IS NULL;

-- name: personal
SELECT key_id, ciphertext FROM booking_pii WHERE booking_id = :booking_id;

-- Rows of the first version, which knew no encryption.
-- name: unencrypted
SELECT booking_id, ciphertext FROM booking_pii WHERE key_id = 'none';

-- name: encrypted
UPDATE booking_pii SET key_id = :key_id, ciphertext = :ciphertext WHERE booking_id = :booking_id;

-- name: erase_personal
UPDATE booking_pii SET ciphertext = NULL, erased_at = :now WHERE booking_id = :booking_id AND erased_at IS NULL;

-- name: erase_replies
UPDATE idempotency_keys SET body = NULL WHERE booking_id = :booking_id;

-- name: bookings_of_member
SELECT booking_id, terminal_at FROM bookings WHERE member_ref = :member_ref ORDER BY created_at, booking_id;
