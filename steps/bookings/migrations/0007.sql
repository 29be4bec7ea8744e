-- What stays for years must not be read again with every round of the sweep to find what is left to do.
DROP INDEX outbox_published;
CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL AND terminal = 0;
CREATE INDEX bookings_without_ride ON bookings (terminal_at) WHERE status IN ('REJECTED', 'FAILED');
CREATE INDEX webhook_inbox_open ON webhook_inbox (received_at) WHERE state IN ('NEW', 'UNMATCHED');
CREATE INDEX orphan_watch_booking ON orphan_watch (booking_id);
