-- What people were called for is found without reading all bookings.
CREATE INDEX bookings_called ON bookings (updated_at) WHERE attention = 1;
