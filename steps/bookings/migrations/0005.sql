-- The sweep looks again at a message that nobody could do anything about, with growing pauses.
ALTER TABLE webhook_inbox ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhook_inbox ADD COLUMN next_try_at TEXT NOT NULL DEFAULT '';
CREATE INDEX webhook_inbox_due ON webhook_inbox (next_try_at) WHERE state IN ('NEW', 'UNMATCHED');
