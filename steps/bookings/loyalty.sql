-- name: accrual
SELECT points FROM loyalty_accruals WHERE booking_id = :booking_id;

-- name: accrue
INSERT INTO loyalty_accruals (booking_id, member_ref, points, basis_minor, currency, accrued_at)
VALUES (:booking_id, :member_ref, :points, :basis_minor, :currency, :now)
ON CONFLICT (booking_id) DO NOTHING;
